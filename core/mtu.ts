import type { Element } from "./chain.js";
import { contextOf, withContext } from "./context.js";

/** Lowers the MTU on the way back, so a hop may only ever shrink it. */
export function mtu(limit: number): Element {
  return {
    name: "mtu",
    async request(call, next) {
      const conn = await next.request(call);
      const was = contextOf(conn).MTU || limit; // 0 means unset
      return withContext(conn, { MTU: Math.min(was, limit) });
    },
  };
}
