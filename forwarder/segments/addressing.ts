import ipaddr from "ipaddr.js";
import { parseRange, rangesMeet } from "../../core/ipam/address.js";
import { isV6, macOf } from "../addresses.js";

/** What members of an L3 segment have as their next hop, on every node the same: it is each node's own. */
export const gatewayMac = "02:69:73:00:00:01";
export const gateways = { 4: "169.254.1.1", 6: "fe80::1" } as const;

export function gatewayFor(address: string): string {
  return gateways[isV6(address) ? 6 : 4];
}

/** The MAC of a node's VXLAN device in a segment: every node computes every other's. */
export function trunkMac(tunnel: string): string {
  return macOf(`segment trunk ${tunnel}`);
}

/** The MAC of a node's own end of the link in an L2 segment. */
export function bridgeMac(tunnel: string): string {
  return macOf(`segment bridge ${tunnel}`);
}

/** The link-local address by which routes name a node as their next hop; nobody asks who has it. */
export function trunkAddress(tunnel: string): string {
  const bytes = ipaddr.parse(tunnel).toByteArray();
  return ipaddr.fromByteArray([0xfe, 0x80, 0, 0, 0, 0, 0, 0, ...bytes.slice(8)]).toString();
}

/** A member's MAC where it asks for none. It follows from its address, and so moves with it. */
export function memberMac(segment: string, address: string): string {
  return macOf(`segment ${segment} ${address}`);
}

/** Whether any of these have an address in common with any of the others. */
export function anyMeet(some: readonly string[], others: readonly string[]): boolean {
  return some.some((prefix) => others.some((other) => rangesMeet(parseRange(prefix), parseRange(other))));
}
