import type { Connection, Mechanism } from "../api/gen/connection/connection.js";
import type { Link } from "./peer.js";
import type { Trace } from "./trace.js";

/** A bearer token of a hop and the moment (milliseconds since 1970) when it ends. */
export interface Token {
  readonly token: string;
  readonly expires: number;
}

/** One request or close on its way through a chain. Elements never change it; they pass a changed copy on. */
export interface Call {
  readonly connection: Connection;
  /** Mechanisms that the caller can do, best first. Empty in a close. */
  readonly preferences: readonly Mechanism[];
  /** Ends with the caller's patience; every wait in a chain listens to it. */
  readonly signal: AbortSignal;
  /** What the caller's transport presented. Absent where the path starts in this process. */
  readonly caller?: Token | undefined;
  /** The authenticated connection that it came by. Absent where the path starts in this process, and where this process asks again. */
  readonly link?: Link | undefined;
  /** Where it is in the trace of its request; absent where nobody traces it. */
  readonly trace?: Trace | undefined;
  /** The URL of the next hop, for the tail that dials. Set by whichever element chose it. */
  readonly target?: string | undefined;
  /**
   * The caller has had this connection from this hop before, even if this run of the program does not remember it: a refresh or a heal.
   * When it fails, nothing is undone. Set by updatePath and begin; absent is a first request.
   */
  readonly established?: boolean | undefined;
}

/** The rest of the chain, as one element sees it. */
export interface Handler {
  request(call: Call): Promise<Connection>;
  close(call: Call): Promise<void>;
}

/** One concern. Leave a method out and the call passes straight through. */
export interface Element {
  readonly name: string;
  request?(call: Call, next: Handler): Promise<Connection>;
  close?(call: Call, next: Handler): Promise<void>;
}

/** Where a chain stops that dials nobody: the endpoint's own end. */
export const end: Handler = {
  request: async (call) => call.connection,
  close: async () => {},
};

/** Joins elements, the first outermost; `tail` is where the chain goes on. */
export function chain(elements: readonly Element[], tail: Handler = end): Handler {
  return elements.reduceRight(link, tail);
}

function link(next: Handler, element: Element): Handler {
  return {
    request: (call) => element.request?.(call, next) ?? next.request(call),
    close: (call) => element.close?.(call, next) ?? next.close(call),
  };
}
