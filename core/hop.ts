import type { Element } from "./chain.js";
import type { Clock } from "./clock.js";
import { MS, NODE, PROGRAM, SITE } from "./metrics.js";
import { withOwnMetrics } from "./path.js";

/** Writes into its own segment's metrics who this hop is, and how long the request took from here on, in milliseconds. */
export function hop(parts: { readonly program: string; readonly node: string; readonly site: string; readonly clock: Clock }): Element {
  const { program, node, site, clock } = parts;
  return {
    name: "hop",
    async request(call, next) {
      const start = clock.monotonic();
      const conn = await next.request(call);
      const ms = (clock.monotonic() - start).toFixed(2);
      return withOwnMetrics(conn, { [PROGRAM]: program, [NODE]: node, [SITE]: site, [MS]: ms });
    },
  };
}
