import type { Connection, ConnectionEvent, MonitorScopeSelector } from "../api/gen/connection/connection.js";
import type { Element } from "./chain.js";

/** Tells whoever watches what happens to this hop's connections. They carry this hop's own id and index. */
export class Monitor {
  /** Sits in the server chain: success publishes UPDATE, a failed refresh UPDATE with state DOWN, a close DELETE. */
  get element(): Element {
    throw new Error("soon");
  }

  /** First always INITIAL_STATE_TRANSFER, then what changes. A slow reader gets the latest per id. Ends with the signal. */
  watch(_selector: MonitorScopeSelector, _signal: AbortSignal): AsyncIterable<ConnectionEvent> {
    throw new Error("soon");
  }

  /** Publishes a changed connection (state, metrics) of a known id; others are ignored. */
  update(_conn: Connection): void {
    throw new Error("soon");
  }

  /** Takes over a connection that an earlier run of this program had. */
  adopt(_conn: Connection): void {
    throw new Error("soon");
  }

  list(): Connection[] {
    throw new Error("soon");
  }

  get(_id: string): Connection | undefined {
    throw new Error("soon");
  }
}

/** Whether a selector lets this connection through: any of its services, and its segments as a run of the path; "" matches anything. */
export function selects(_selector: MonitorScopeSelector, _conn: Connection): boolean {
  throw new Error("soon");
}
