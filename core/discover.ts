import type { NetworkServiceEndpoint } from "../api/gen/registry/registry.js";
import type { Element, Handler } from "./chain.js";
import type { Clock } from "./clock.js";
import type { Directory } from "./directory.js";
import type { Log } from "./log.js";

/**
 * Chooses the endpoint: the one that was named, or the best that matches, trying all. Sets target, endpoint name and payload.
 * A reselect forgets the endpoint and the path behind this hop, and closes the old one through `tail`, past the elements between.
 */
export function discover(_parts: {
  readonly directory: Directory;
  readonly locality: (endpoint: NetworkServiceEndpoint) => number;
  readonly load: (name: string) => number;
  readonly random: () => number;
  readonly log: Log;
  readonly clock: Clock;
  /** Where the chain dials: what a reselect leaves is closed here, so that this hop's own elements keep what they have. */
  readonly tail: Pick<Handler, "close">;
}): Element {
  throw new Error("soon");
}
