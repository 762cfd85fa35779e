import { parseRange, type Range } from "../../core/ipam/address.js";
import type { SegmentMember } from "../../core/segment/membership.js";
import { hostPrefix } from "../addresses.js";
import type { Remote } from "./part.js";

/** What is reached by another node: its blocks, those addresses of its members that lie in none of them, and what is behind its members. */
export function reachedThrough({ blocks, members }: Pick<Remote, "blocks" | "members">): string[] {
  const wholes = blocks.map(parseRange);
  const strays = members.flatMap((member) => hostsOf(member).filter(({ range }) => wholes.every((whole) => !covers(whole, range))));
  return [...new Set([...blocks, ...strays.map(({ prefix }) => prefix), ...members.flatMap(({ announces }) => announces)])];
}

/** An address as a prefix, and as a number. */
interface Host {
  readonly prefix: string;
  readonly range: Range;
}

/** A member never changes, another one takes its place: so with each that comes or goes only that one is read. */
const hosts = new WeakMap<SegmentMember, readonly Host[]>();

function hostsOf(member: SegmentMember): readonly Host[] {
  const known = hosts.get(member);
  if (known !== undefined) return known;
  const read = member.addresses.map((address) => ({ prefix: hostPrefix(address), range: parseRange(address) }));
  hosts.set(member, read);
  return read;
}

function covers(whole: Range, { family, first }: Range): boolean {
  return whole.family === family && whole.first <= first && first <= whole.last;
}
