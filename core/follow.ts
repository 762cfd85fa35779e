import type { Connection, ConnectionEvent, MonitorScopeSelector } from "../api/gen/connection/connection.js";
import type { Element } from "./chain.js";
import type { Clock } from "./clock.js";
import type { Log } from "./log.js";
import type { Monitor } from "./monitor.js";

/** Why a connection counts as down: its next hop closed it, said so, or does not answer. */
export type DownReason = "deleted" | "down" | "lost";

/**
 * Watches the next hop on behalf of each connection and passes on to our own watchers what it says. Sits right before the dialing tail.
 * `onDown` may look first and change what is published (metrics); without it, "deleted" marks the own segment's data path as dead.
 */
export function follow(_parts: {
  readonly watch: (url: string, selector: MonitorScopeSelector, signal: AbortSignal) => AsyncIterable<ConnectionEvent>;
  readonly monitor: Monitor;
  readonly clock: Clock;
  readonly log: Log;
  readonly onDown?: (conn: Connection, reason: DownReason) => Promise<Connection> | Connection;
}): Element {
  throw new Error("soon");
}
