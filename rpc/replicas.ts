import type { Clock } from "../core/clock.js";
import { isAway } from "../core/error.js";
import type { Registry } from "./registry.js";
import { Turns } from "./turns.js";

/**
 * One registry that answers at several addresses, as replicas over one store do. Asks the one that answered last; where that is away it
 * goes on to the next, and each is asked once. A list or a watch that has begun is not begun again elsewhere: its reader is told.
 */
export function replicas<T>(registries: readonly [Registry<T>, ...Registry<T>[]], clock: Clock): Registry<T> {
  const turns = new Turns(registries, clock);
  return {
    register: (value, context) => turns.ask(context.signal, (one, signal) => one.register(value, { ...context, signal })),
    unregister: (value, context) => turns.ask(context.signal, (one, signal) => one.unregister(value, { ...context, signal })),
    async *find(query, options, context) {
      for (let left = registries.length - 1; ; left--) {
        const one = turns.current;
        using limit = options.watch || left === 0 ? undefined : turns.limit(context.signal);
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
          turns.leave(one);
          if (begun || left === 0) throw error;
        }
      }
    },
  };
}
