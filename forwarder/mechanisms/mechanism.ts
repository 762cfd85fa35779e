import type { Connection, Mechanism } from "../../api/gen/connection/connection.js";
import type { Call } from "../../core/chain.js";
import type { Side } from "../crossConnect.js";

/**
 * One way in and out of a node. A connection's id, payload and endpoint are known when it is asked; `before` is the side that the
 * connection has until now, if it is of this kind. What is claimed belongs to the connection's id.
 */
export interface Way<S extends Side = Side> {
  /** The mechanism's type and class on the wire. */
  readonly type: string;
  readonly cls: string;
  readonly kind: S["kind"];
  /** Why it is of no use for this connection, in words that follow "…: "; undefined: it can be used. */
  refusal(connection: Connection): string | undefined;
  /** Towards the client: takes what the caller asked for. The side's mechanism is the answer. */
  accept(call: Call, asked: Mechanism, before: S | undefined): Promise<S>;
  /** Towards the endpoint: what is asked of the next hop. */
  offer(call: Call, before: S | undefined): Promise<Mechanism>;
  /** Takes what the next hop answered to `offered`. */
  take(answer: Connection, answered: Mechanism, offered: Mechanism, before: S | undefined): Promise<S>;
  /** Makes ready what the side's own objects rest on, before they are wanted. */
  prepare?(connection: Connection, side: S, signal: AbortSignal): Promise<void>;
  /** Resolves when packets go through; for what has to be waited for on the asking side. */
  ready?(connection: Connection, side: S, signal: AbortSignal): Promise<void>;
  /** On the answering side, when the answer is about to go. */
  answered?(side: S): void;
  /** Removes what it keeps, besides claims, of a connection that is closed or goes another way. */
  forget?(id: string): void;
}
