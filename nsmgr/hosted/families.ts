import type { Call, Element } from "../../core/chain.js";
import { ipContextOf, withIpContext } from "../../core/context.js";

/**
 * Drops addresses of a family that the endpoint gives none of, and the routes to them: a client that comes from another endpoint
 * brings the addresses along that it had there.
 */
export function onlyFamiliesOf(cidrs: readonly string[]): Element {
  const families = new Set(cidrs.map(isV6));
  const kept = (address: string) => families.has(isV6(address));
  const strip = (call: Call): Call => {
    const { srcIpAddrs, dstIpAddrs, srcRoutes, dstRoutes } = ipContextOf(call.connection);
    const dropped = new Set([...srcIpAddrs, ...dstIpAddrs].filter((address) => !kept(address)));
    if (dropped.size === 0) return call;
    const connection = withIpContext(call.connection, {
      srcIpAddrs: srcIpAddrs.filter(kept),
      dstIpAddrs: dstIpAddrs.filter(kept),
      srcRoutes: srcRoutes.filter(({ prefix }) => !dropped.has(prefix)),
      dstRoutes: dstRoutes.filter(({ prefix }) => !dropped.has(prefix)),
    });
    return { ...call, connection };
  };
  return { name: "families", request: (call, next) => next.request(strip(call)) };
}

function isV6(address: string): boolean {
  return address.includes(":");
}
