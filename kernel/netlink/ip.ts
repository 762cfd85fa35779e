import net from "node:net";
import ipaddr from "ipaddr.js";
import { MeshError } from "../../core/error.js";
import { RecentMap } from "../../core/recentMap.js";
import { AF_INET, AF_INET6 } from "../ffi/socket.js";

/** An address and how many of its bits count. */
export interface Prefix {
  readonly family: typeof AF_INET | typeof AF_INET6;
  readonly bytes: Buffer;
  readonly length: number;
}

/** `172.16.1.2` or `2001:db8::1` as the kernel wants it, 4 or 16 bytes. */
export function ipBytes(text: string): Buffer {
  if (net.isIP(text) === 0 || text.includes("%")) throw new MeshError("invalid", `${JSON.stringify(text)} is not an IPv4 or IPv6 address`);
  return Buffer.from(ipaddr.parse(text).toByteArray());
}

/** The one way to write an address: IPv4 in dots, IPv6 as in RFC 5952. */
export function ipText(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join(".");
  const address = ipaddr.fromByteArray([...bytes]);
  return address instanceof ipaddr.IPv6 ? address.toRFC5952String() : address.toString();
}

/** AF_INET or AF_INET6, by the number of bytes. */
export function familyOf(bytes: Uint8Array): typeof AF_INET | typeof AF_INET6 {
  return bytes.length === 4 ? AF_INET : AF_INET6;
}

/** `172.16.1.2/24`; without a slash all bits count. Bits of the host stay. */
export function parsePrefix(text: string): Prefix {
  const [address = "", length, ...rest] = text.split("/");
  const bytes = ipBytes(address);
  const bits = bytes.length * 8;
  const wanted = length === undefined ? bits : /^\d{1,3}$/.test(length) ? Number(length) : -1;
  if (rest.length > 0 || wanted < 0 || wanted > bits) {
    throw new MeshError("invalid", `${JSON.stringify(text)} is no prefix; its length must be 0..${bits}`);
  }
  return { family: familyOf(bytes), bytes, length: wanted };
}

/** The same prefix with the host's bits cleared. */
export function networkOf(prefix: Prefix): Prefix {
  const bytes = Buffer.from(prefix.bytes);
  for (let bit = prefix.length; bit < bytes.length * 8; bit++) {
    const at = bit >> 3;
    bytes[at] = (bytes[at] ?? 0) & ~(0x80 >> (bit & 7));
  }
  return { ...prefix, bytes };
}

export function prefixText(bytes: Buffer, length: number): string {
  return `${ipText(bytes)}/${length}`;
}

/** What was written lately, in its one way: the same few addresses are compared in each look at a device. */
const canonicalIps = new RecentMap<string, string>(4_096);

/** `2001:DB8:0::1` -> `2001:db8::1`; what is no address stays as it is. */
export function canonicalIp(text: string): string {
  const known = canonicalIps.get(text);
  if (known !== undefined) return known;
  const canonical = net.isIP(text) === 0 || text.includes("%") ? text : ipText(ipBytes(text));
  canonicalIps.set(text, canonical);
  return canonical;
}

/** An interface's address: `FD00::1` -> `fd00::1/128`. What is none stays as it is. */
export function canonicalAddress(text: string): string {
  return canonical(text, (prefix) => prefix);
}

/** A route's prefix: `10.0.0.1/24` -> `10.0.0.0/24`. What is none stays as it is. */
export function canonicalNetwork(text: string): string {
  return canonical(text, networkOf);
}

function canonical(text: string, change: (prefix: Prefix) => Prefix): string {
  try {
    const prefix = change(parsePrefix(text));
    return prefixText(prefix.bytes, prefix.length);
  } catch {
    return text;
  }
}

/** `02:00:00:00:00:01` as six bytes. */
export function macBytes(text: string): Buffer {
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text)) throw new MeshError("invalid", `${JSON.stringify(text)} is not a MAC address`);
  return Buffer.from(text.replaceAll(":", ""), "hex");
}

/** The IPv6 link-local address that follows from a MAC address (RFC 4291, appendix A), as devices give it to themselves. */
export function linkLocalOf(mac: string): string {
  const bytes = macBytes(mac);
  bytes.writeUInt8(bytes.readUInt8(0) ^ 2, 0);
  return ipText(
    Buffer.concat([Buffer.from("fe80000000000000", "hex"), bytes.subarray(0, 3), Uint8Array.of(0xff, 0xfe), bytes.subarray(3)]),
  );
}

/** Six bytes as `02:00:00:00:00:01`. */
export function macText(bytes: Buffer): string {
  return bytes.toString("hex").replace(/..(?!$)/g, "$&:");
}
