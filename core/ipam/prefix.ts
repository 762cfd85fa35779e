import { MeshError } from "../error.js";
import { formatAddress, parseRange, type Range, widthOf } from "./address.js";

/** A block of addresses as routes have it: its size is a power of two, and it begins at a multiple of that. */
export interface Prefix extends Range {
  /** Bits that all of its addresses have in common. */
  readonly length: number;
}

/** Throws "invalid" for what is no prefix, and for one with bits behind its length; an address alone is one of full length. */
export function parsePrefix(text: string): Prefix {
  const range = parseRange(text);
  const length = Number(text.split("/")[1] ?? widthOf(range.family));
  const written = parseRange(text.split("/")[0] ?? "").first;
  if (written !== range.first)
    throw new MeshError("invalid", `${text} has bits behind its length; write ${formatPrefix({ ...range, length })}`);
  return { ...range, length };
}

/** In its shortest form, always with the length. */
export function formatPrefix({ family, first, length }: Pick<Prefix, "family" | "first" | "length">): string {
  return `${formatAddress(family, first)}/${length}`;
}

/** The part of `prefix` with that number, of the parts that have that length. */
export function part({ family, first }: Prefix, length: number, number: bigint): Prefix {
  const size = 1n << BigInt(widthOf(family) - length);
  const begin = first + number * size;
  return { family, first: begin, last: begin + size - 1n, length };
}

/** How many parts of that length it has. */
export function partsOf(prefix: Prefix, length: number): bigint {
  return 1n << BigInt(length - prefix.length);
}

/** Which part of that length has the address. */
export function numberAt(prefix: Prefix, length: number, address: bigint): bigint {
  return (address - prefix.first) >> BigInt(widthOf(prefix.family) - length);
}

/** The first and the last address: the network's own, and broadcast. IPv6 has but the first (RFC 4291, 2.6.1). */
export function edgesOf({ family, first, last }: Range): bigint[] {
  return family === 4 ? [first, last] : [first];
}

export function contains(outer: Range, inner: Range): boolean {
  return outer.family === inner.family && outer.first <= inner.first && inner.last <= outer.last;
}

/** Whether it is one address. */
export function isHost({ family, length }: Pick<Prefix, "family" | "length">): boolean {
  return length === widthOf(family);
}
