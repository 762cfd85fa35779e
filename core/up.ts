import type { Element } from "./chain.js";
import { UP } from "./states.js";

/** Where a reselect or a DOWN ends: what lies behind is asked for, and answers, state UP. */
export function up(): Element {
  return {
    name: "up",
    async request(call, next) {
      const conn = await next.request({ ...call, connection: { ...call.connection, state: UP } });
      return { ...conn, state: UP };
    },
  };
}
