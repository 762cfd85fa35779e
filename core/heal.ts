import type { Connection, ConnectionEvent, MonitorScopeSelector } from "../api/gen/connection/connection.js";
import type { Call, Element } from "./chain.js";
import type { Clock } from "./clock.js";
import type { Log } from "./log.js";

/** What happens to a connection that heals; `heals` counts the successes so far. */
export type HealState =
  | { readonly state: "healing"; readonly reason: string; readonly heals: number }
  | { readonly state: "up"; readonly heals: number };

/**
 * Asks again when the next hop says that a connection is down, until it works. Data path dead anywhere: with RESELECT_REQUESTED;
 * else without. For the client's side. `gone` hears of a connection whose network namespace is not there any more; it is not healed.
 */
export function heal(_parts: {
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  readonly watch: (selector: MonitorScopeSelector, signal: AbortSignal) => AsyncIterable<ConnectionEvent>;
  readonly again: (id: string, change: ((call: Call) => Call) | undefined, signal: AbortSignal) => Promise<Connection>;
  readonly gone?: (id: string) => void;
  readonly notify?: (id: string, state: HealState) => void;
}): Element {
  throw new Error("soon");
}
