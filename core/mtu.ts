import type { Element } from "./chain.js";

/** Lowers the MTU on the way back, so a hop may only ever shrink it. */
export function mtu(_limit: number): Element {
  throw new Error("soon");
}
