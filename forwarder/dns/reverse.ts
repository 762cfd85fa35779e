import { parseAddress, parseRange, type Range, widthOf } from "../../core/ipam/address.js";

/** What a reverse name (RFC 1035, 3.5; RFC 3596, 2.5) stands for. */
export interface Reverse {
  /** All addresses whose names end so; one where the name is whole. */
  readonly range: Range;
  /** Whether there is more before a whole name, which means nothing. */
  readonly beyond: boolean;
}

const families = [
  { suffix: ".in-addr.arpa", family: 4, labels: 4, bits: 8, label: /^(?:0|[1-9]\d{0,2})$/, radix: 10 },
  { suffix: ".ip6.arpa", family: 6, labels: 32, bits: 4, label: /^[0-9a-f]$/, radix: 16 },
] as const;

/** `5.0.60.10.in-addr.arpa` for 10.60.0.5. Throws "invalid" for what is no address. */
export function reverseName(address: string): string {
  const { family, value } = parseAddress(address);
  return nameOf(family, value, widthOf(family));
}

/** The nearest reverse name that has the whole prefix below it: `60.10.in-addr.arpa` for 10.60.0.0/17. */
export function reverseZone(prefix: string): string {
  const { family, first, last } = parseRange(prefix);
  const size = (last - first + 1n).toString(2).length - 1;
  return nameOf(family, first, widthOf(family) - size);
}

/** The meaning of a lower-case reverse name; undefined for what is none. */
export function parseReverse(name: string): Reverse | undefined {
  const family = families.find(({ suffix }) => name.endsWith(suffix));
  if (family === undefined) return undefined;
  const labels = name.slice(0, -family.suffix.length).split(".").reverse();
  const told = labels.slice(0, family.labels);
  if (!told.every((label) => family.label.test(label) && Number.parseInt(label, family.radix) < 1 << family.bits)) return undefined;
  const size = 1n << BigInt((family.labels - told.length) * family.bits);
  const value = told.reduce((sum, label) => (sum << BigInt(family.bits)) | BigInt(Number.parseInt(label, family.radix)), 0n);
  const first = value * size;
  return { range: { family: family.family, first, last: first + size - 1n }, beyond: labels.length > family.labels };
}

function nameOf(family: 4 | 6, value: bigint, length: number): string {
  const { suffix, bits, labels, radix } = families[family === 4 ? 0 : 1];
  const mask = (1n << BigInt(bits)) - 1n;
  const told = Math.floor(length / bits);
  const label = (at: number) => ((value >> BigInt((labels - 1 - at) * bits)) & mask).toString(radix);
  return `${Array.from({ length: told }, (_, at) => label(told - 1 - at)).join(".")}${suffix}`.replace(/^\./, "");
}
