import type { Clock } from "../core/clock.js";
import { isAway } from "../core/error.js";
import type { Registry, RegistryContext } from "./registry.js";
import { timeLimit } from "./signals.js";

/** How long one may take while there are others: one that is frozen must not use up the caller's patience. */
const patienceMs = 3_000;

/**
 * One registry that answers at several addresses, as replicas over one store do. Asks the one that answered last; where that is away it
 * goes on to the next, and each is asked once. A list or a watch that has begun is not begun again elsewhere: its reader is told.
 */
export function replicas<T>(registries: readonly [Registry<T>, ...Registry<T>[]], clock: Clock): Registry<T> {
  let current = registries[0];
  const leave = (one: Registry<T>) => {
    if (current === one) current = registries[(registries.indexOf(one) + 1) % registries.length] ?? one;
  };
  const ask = async <A>(context: RegistryContext, task: (registry: Registry<T>, context: RegistryContext) => Promise<A>): Promise<A> => {
    for (let left = registries.length - 1; ; left--) {
      const one = current;
      if (left === 0) return await task(one, context);
      using limit = timeLimit(clock, patienceMs, context.signal);
      try {
        return await task(one, { ...context, signal: limit.signal });
      } catch (error) {
        if (context.signal.aborted || !isAway(error)) throw error;
        leave(one);
      }
    }
  };
  return {
    register: (value, context) => ask(context, (registry, limited) => registry.register(value, limited)),
    unregister: (value, context) => ask(context, (registry, limited) => registry.unregister(value, limited)),
    async *find(query, options, context) {
      for (let left = registries.length - 1; ; left--) {
        const one = current;
        using limit = options.watch || left === 0 ? undefined : timeLimit(clock, patienceMs, context.signal);
        let begun = false;
        try {
          for await (const found of one.find(query, options, { ...context, signal: limit?.signal ?? context.signal })) {
            begun = true;
            yield found;
          }
          // A stream ends without an error when its signal does.
          if (limit?.signal.aborted !== true || context.signal.aborted) return;
          throw limit.signal.reason;
        } catch (error) {
          if (context.signal.aborted || !isAway(error)) throw error;
          leave(one);
          if (begun || left === 0) throw error;
        }
      }
    },
  };
}
