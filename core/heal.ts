import type { Connection } from "../api/gen/connection/connection.js";
import type { Call, Element } from "./chain.js";
import type { Clock } from "./clock.js";
import type { MeshError } from "./error.js";
import type { Listener, Own } from "./listen.js";
import type { Log } from "./log.js";
import { Patient } from "./patient.js";

/** What happens to a connection that heals; `heals` counts the successes so far. */
export type HealState =
  | { readonly state: "healing"; readonly reason: string; readonly heals: number }
  | { readonly state: "up"; readonly heals: number };

export interface HealParts {
  readonly clock: Clock;
  readonly log: Log;
  /** 0 (inclusive) to 1 (exclusive); spreads the retries of many connections. */
  readonly random: () => number;
  /** Listens to the next hop, as `Listen` does. */
  readonly listen: (own: Own, listener: Listener) => Disposable;
  readonly again: (id: string, change: ((call: Call) => Call) | undefined, signal: AbortSignal) => Promise<Connection>;
  readonly gone?: (id: string, why: MeshError) => void;
  readonly notify?: (id: string, state: HealState) => void;
}

/**
 * From its first success on, asks again when the next hop says that a connection is down, until it works. Data path dead anywhere:
 * with RESELECT_REQUESTED; else without, and a "dead" that comes meanwhile switches. For the client's side.
 * `gone` hears of a connection that cannot come back, as its network namespace is gone; that one is not healed.
 */
export function heal(parts: HealParts): Element {
  const patients = new Map<string, Patient>();
  return {
    name: "heal",
    async request(call, next) {
      const conn = await next.request(call);
      if (!patients.has(conn.id)) patients.set(conn.id, new Patient(parts, conn));
      return conn;
    },
    async close(call, next) {
      patients.get(call.connection.id)?.stop();
      patients.delete(call.connection.id);
      await next.close(call);
    },
  };
}
