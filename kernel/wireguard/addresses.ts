import ipaddr from "ipaddr.js";
import { MeshError } from "../../core/error.js";

/** An address and a port, parsed. */
export interface Endpoint {
  readonly address: ipaddr.IPv4 | ipaddr.IPv6;
  readonly port: number;
}

/** Reads `192.0.2.1:51820` or `[2001:db8::1]:51820`. Throws MeshError invalid with the bad value. */
export function parseEndpoint(text: string): Endpoint {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2] ?? "";
  const port = Number(match?.[3]);
  if (!ipaddr.isValid(host) || !(port >= 1 && port <= 65535)) {
    throw new MeshError("invalid", `a WireGuard endpoint must be like 192.0.2.1:51820 or [2001:db8::1]:51820, got ${JSON.stringify(text)}`);
  }
  return { address: ipaddr.parse(host), port };
}

/** The one way an endpoint is written. */
export function formatEndpoint(endpoint: Endpoint): string {
  const host = endpoint.address.toString();
  return endpoint.address.kind() === "ipv6" ? `[${host}]:${endpoint.port}` : `${host}:${endpoint.port}`;
}

/** `text` as `formatEndpoint` writes it. */
export function canonicalEndpoint(text: string): string {
  return formatEndpoint(parseEndpoint(text));
}

/** Canonical CIDRs in a fixed order, so that two lists of the same ranges are equal. */
export function sortedCidrs(cidrs: readonly string[]): string[] {
  return cidrs.map(canonicalCidr).sort();
}

function canonicalCidr(cidr: string): string {
  if (!ipaddr.isValidCIDR(cidr))
    throw new MeshError("invalid", `allowed IPs must be CIDRs like 10.0.0.0/8 or fd00::/8, got ${JSON.stringify(cidr)}`);
  const [address, bits] = ipaddr.parseCIDR(cidr);
  return `${address.toString()}/${bits}`;
}
