import type { Clock } from "../core/clock.js";
import { asMeshError } from "../core/error.js";
import type { Meter } from "../core/meter.js";
import type { Store } from "./store.js";

/** The store; the meter hears of every operation how long it took, and how it ended. Watches last and are left out. */
export function measured(store: Store, { meter, clock }: { readonly meter: Meter; readonly clock: Clock }): Store {
  const took = meter.timer("isthmus_store_operation_duration_seconds", "How long the store took", ["operation", "code"]);
  const timing = async <T>(operation: string, work: () => Promise<T>): Promise<T> => {
    const start = clock.monotonic();
    let code = "ok";
    try {
      return await work();
    } catch (error) {
      code = asMeshError(error).code;
      throw error;
    } finally {
      took((clock.monotonic() - start) / 1000, { operation, code });
    }
  };
  return {
    abilities: store.abilities,
    get: (key) => timing("get", () => store.get(key)),
    list: (prefix) => timing("list", () => store.list(prefix)),
    commit: (transaction) => timing("commit", () => store.commit(transaction)),
    watch: (prefix, options) => store.watch(prefix, options),
    grant: (ttlMs) => timing("grant", () => store.grant(ttlMs)),
    renew: (lease) => timing("renew", () => store.renew(lease)),
    revoke: (lease) => timing("revoke", () => store.revoke(lease)),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}
