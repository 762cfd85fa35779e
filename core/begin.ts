import type { Connection, Mechanism } from "../api/gen/connection/connection.js";
import type { Call, Element, Handler } from "./chain.js";
import type { Log } from "./log.js";

/** The connections of one chain, and the one place that orders what happens to them. */
export interface Begin extends Element {
  /** As the last successful request left it, with this hop's own id and index. */
  current(id: string): Connection | undefined;
  list(): Connection[];
  /** Runs the rest of the chain again with the last connection and preferences. "not-found" for an unknown id. */
  again(id: string, change?: (call: Call) => Call, signal?: AbortSignal): Promise<Connection>;
  /** Closes from inside; success for an unknown id. With `still`, only where that holds when the close's turn comes. */
  end(id: string, signal?: AbortSignal, still?: () => boolean): Promise<void>;
  /** Takes over a connection that an earlier run of this program had (`connection.id` and `path.index` are this hop's). */
  adopt(connection: Connection, preferences?: readonly Mechanism[]): void;
  /** What `again` and `end` run before any request came through. The assembly calls it. */
  bind(next: Handler): void;
}

export function begin(_parts: { readonly log: Log }): Begin {
  throw new Error("soon");
}
