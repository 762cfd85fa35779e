import ipaddr from "ipaddr.js";
import { MeshError } from "../error.js";

export type Family = 4 | 6;

/** The addresses from `first` to `last`, both inclusive, as numbers. */
export interface Range {
  readonly family: Family;
  readonly first: bigint;
  readonly last: bigint;
}

/** An address as a number; a prefix length behind it is ignored. Throws "invalid" with what was given. */
export function parseAddress(text: string): { readonly family: Family; readonly value: bigint } {
  const [address = "", length] = text.split("/");
  const family = familyOf(address);
  if (family === undefined || (length !== undefined && parseLength(length, family) === undefined))
    throw new MeshError("invalid", `${JSON.stringify(text)} is no IP address; it looks like 172.16.1.1 or 2001:db8::1`);
  return { family, value: toNumber(address) };
}

/** All addresses of a prefix; an address alone is a range of one. Bits behind the prefix length are ignored. Throws "invalid". */
export function parseRange(cidr: string): Range {
  const [address = "", length, more] = cidr.split("/");
  const family = familyOf(address);
  const bits = family === undefined ? undefined : parseLength(length ?? String(widthOf(family)), family);
  if (family === undefined || bits === undefined || more !== undefined)
    throw new MeshError("invalid", `${JSON.stringify(cidr)} is no address range; it looks like 172.16.1.0/24 or 2001:db8:1::/112`);
  const size = 1n << BigInt(widthOf(family) - bits);
  const first = (toNumber(address) / size) * size;
  return { family, first, last: first + size - 1n };
}

/** Whether two ranges have an address in common. */
export function rangesMeet(a: Range, b: Range): boolean {
  return a.family === b.family && a.first <= b.last && b.first <= a.last;
}

/** A number as an address, in its shortest form. */
export function formatAddress(family: Family, value: bigint): string {
  const length = widthOf(family) / 8;
  const bytes = Array.from({ length }, (_, i) => Number((value >> BigInt(8 * (length - 1 - i))) & 0xffn));
  return ipaddr.fromByteArray(bytes).toString();
}

/** Bits of an address. */
export function widthOf(family: Family): 32 | 128 {
  return family === 4 ? 32 : 128;
}

function familyOf(address: string): Family | undefined {
  // Asking whether an IPv6 address is an IPv4 one throws inside, which takes several times as long as all the rest.
  if (address.includes(":")) return ipaddr.IPv6.isValid(address) && !address.includes("%") ? 6 : undefined;
  return ipaddr.IPv4.isValidFourPartDecimal(address) ? 4 : undefined;
}

function parseLength(text: string, family: Family): number | undefined {
  const bits = /^\d{1,3}$/.test(text) ? Number(text) : undefined;
  return bits !== undefined && bits <= widthOf(family) ? bits : undefined;
}

function toNumber(address: string): bigint {
  return ipaddr
    .parse(address)
    .toByteArray()
    .reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
}
