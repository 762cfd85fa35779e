import { hash } from "node:crypto";
import ipaddr from "ipaddr.js";
import type { Connection } from "../api/gen/connection/connection.js";
import type { Route } from "../api/gen/connectioncontext/connectioncontext.js";
import { ipContextOf } from "../core/context.js";
import { MeshError } from "../core/error.js";
import type { Addresses, NextHop } from "./crossConnect.js";

/** What the endpoint's answer assigns, parsed once and in canonical text. Throws "invalid" with the bad value. */
export function addressesOf(conn: Connection): Addresses {
  const ip = ipContextOf(conn);
  const ethernet = conn.context?.ethernetContext;
  return {
    src: unique(ip.srcIpAddrs.map(parseAddress)),
    dst: unique(ip.dstIpAddrs.map(parseAddress)),
    srcRoutes: ip.srcRoutes.map(parseRoute),
    dstRoutes: ip.dstRoutes.map(parseRoute),
    neighbours: ip.ipNeighbors.map((entry) => ({ address: host(parseAddress(entry.ip)), mac: parseMac(entry.hardwareAddress) })),
    ...(ethernet?.srcMac ? { srcMac: parseMac(ethernet.srcMac) } : {}),
    ...(ethernet?.dstMac ? { dstMac: parseMac(ethernet.dstMac) } : {}),
  };
}

/** `172.16.1.2/32` from that, or from the bare address. */
export function parseAddress(text: string): string {
  const [address, bits] = parse(text);
  return `${address}/${bits}`;
}

/** The address of `ADDRESS/BITS` without its bits. */
export function host(address: string): string {
  return address.replace(/\/.*$/, "");
}

/** The host prefix of an address: /32 or /128. */
export function hostPrefix(address: string): string {
  return `${host(address)}/${isV6(address) ? 128 : 32}`;
}

export function isV6(address: string): boolean {
  return address.includes(":");
}

/** Whether `address` lies in `prefix`. False for two families. */
export function contains(prefix: string, address: string): boolean {
  const [network, bits] = ipaddr.parseCIDR(prefix);
  const candidate = ipaddr.parse(host(address));
  return network.kind() === candidate.kind() && candidate.match(network, bits);
}

/** A locally administered unicast MAC that follows from a text, the same on every node. */
export function macOf(text: string): string {
  const digest = hash("sha256", `isthmus mac ${text}`, "buffer");
  return ["02", ...Array.from(digest.subarray(0, 5), (byte) => byte.toString(16).padStart(2, "0"))].join(":");
}

/** A prefix with the host's bits cleared, as `172.16.2.0/24`. */
export function parsePrefix(text: string): string {
  return networkOf(...parse(text));
}

/** A route as the endpoint wrote it. */
export function parseRoute(route: Route): NextHop {
  const network = parsePrefix(route.prefix);
  return route.nextHop === "" ? { prefix: network } : { prefix: network, via: host(parseAddress(route.nextHop)) };
}

function networkOf(address: string, bits: number): string {
  const cidr = `${address}/${bits}`;
  const network = isV6(address) ? ipaddr.IPv6.networkAddressFromCIDR(cidr) : ipaddr.IPv4.networkAddressFromCIDR(cidr);
  return `${network.toString()}/${bits}`;
}

function parse(text: string): [address: string, bits: number] {
  try {
    const bare = ipaddr.parse(host(text));
    const full = bare.kind() === "ipv6" ? 128 : 32;
    const bits = text.includes("/") ? ipaddr.parseCIDR(text)[1] : full;
    return [bare.toString(), bits];
  } catch (cause) {
    throw new MeshError("invalid", `${JSON.stringify(text)} is neither an IP address nor a prefix like 172.16.1.2/32 or 2001:db8::/64`, {
      cause,
    });
  }
}

function parseMac(text: string): string {
  if (/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)) return text.toLowerCase();
  throw new MeshError("invalid", `${JSON.stringify(text)} is no hardware address; write it as 02:00:5e:10:00:01`);
}

function unique(texts: readonly string[]): string[] {
  return [...new Set(texts)];
}
