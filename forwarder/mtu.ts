import { isV6 } from "./addresses.js";
import type { CrossConnect } from "./crossConnect.js";
import type { Underlay } from "./mechanisms/ends.js";
import { hasV6 } from "./pod.js";

/** What a connection gets that says nothing and meets no tunnel, as NSM's forwarders have it. */
export const localMtu = 9000;

/** The least that IPv6 may have on a link (RFC 8200). */
export const leastV6 = 1280;

/** VXLAN over IPv6 (Ethernet 14, VXLAN 8, UDP 8, IPv6 40), as it travels in the node tunnel. */
export const vxlanInTunnel = 70;

/** Least MTU of a route in the node tunnel: a packet of 1280 with VXLAN around it. */
export const leastInTunnel = leastV6 + vxlanInTunnel;

/** What WireGuard adds: IP, UDP and 32 bytes of its own. */
function wireguardOverhead(outer: string): number {
  return isV6(outer) ? 80 : 60;
}

/** What wireguard-go takes for a device's MTU, whatever it is: it cannot see a device that has left its namespace. */
const believedMtu = 1420;
/** WireGuard rounds a packet up to this, to hide its length. */
const padding = 16;

/**
 * The largest packet such that it and all smaller ones leave the node whole. wireguard-go cuts a packet in its mind into pieces of what it
 * takes for the MTU, and rounds up the last: one of 1440 becomes 1452, and would be cut in two outside. The kernel stops at the device's MTU.
 */
export function wireguardMtu({ ip, mtu, wireguard }: Underlay): number {
  const room = mtu - wireguardOverhead(ip);
  return wireguard === "kernel" ? room : room - ((room % believedMtu) % padding);
}

/** What plain VXLAN adds. */
export function vxlanOverhead(outer: string): number {
  return isV6(outer) ? 70 : 50;
}

/** The lower of two, where 0 is unset. */
export function lower(a: number, b: number): number {
  return a === 0 || b === 0 ? Math.max(a, b) : Math.min(a, b);
}

/** The MTU of both pods' ends and of the device between: what was agreed, no more than `limit`, and enough for IPv6. */
export function connectionMtu(connect: CrossConnect, limit: number): number {
  const mtu = lower(connect.mtu || localMtu, limit);
  return hasV6(connect) ? Math.max(mtu, leastV6) : mtu;
}
