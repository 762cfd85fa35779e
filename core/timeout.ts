import type { Element } from "./chain.js";
import type { Clock } from "./clock.js";
import type { Log } from "./log.js";

export interface Timeout extends Element {
  /** Arms the timer of a connection that an earlier run of this program had. */
  adopt(id: string, ms: number): void;
}

/**
 * Ends a connection when its previous segment's token does, plus `grace`, unless a refresh comes.
 * `end` is `(id, due) => begin.end(id, undefined, due)`: `due` says whether it is still over when the close's turn comes.
 */
export function timeout(_parts: {
  readonly clock: Clock;
  readonly log: Log;
  readonly end: (id: string, due: () => boolean) => Promise<void>;
  readonly grace?: () => number;
}): Timeout {
  throw new Error("soon");
}
