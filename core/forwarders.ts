import type { Element } from "./chain.js";
import type { Directory } from "./directory.js";
import type { Log } from "./log.js";

/**
 * Chooses the forwarder of this node and sets the target; a connection keeps its forwarder while that is registered, also in a reselect.
 * An endpoint of `serviceName` is of this node when its url (as the directory gives it, the one that is dialled) is one of `ownUrls()`.
 */
export function discoverForwarder(_parts: {
  readonly directory: Directory;
  readonly serviceName: string;
  readonly ownUrls: () => readonly string[];
  readonly log: Log;
}): Element {
  throw new Error("soon");
}
