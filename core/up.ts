import type { Element } from "./chain.js";

/** Where a reselect or a DOWN ends: what lies behind is asked for, and answers, state UP. */
export function up(): Element {
  throw new Error("soon");
}
