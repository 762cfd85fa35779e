import type { Element } from "./chain.js";

/**
 * The element with rollback: when a first request fails at it or behind it, its `close` undoes what its `request` did,
 * and closes what lies behind it only where that had succeeded. A failed refresh undoes nothing. The undo has a deadline of its own.
 */
export function undoOnFailure(_element: Element): Element {
  throw new Error("soon");
}
