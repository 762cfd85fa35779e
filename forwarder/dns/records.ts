import { isIP } from "node:net";
import { formatAddress, parseAddress } from "../../core/ipam/address.js";
import type { SegmentMember } from "../../core/segment/membership.js";
import { reverseName } from "./reverse.js";
import { servedBy, type Target } from "./served.js";

/** What is at a name; a name may be there with nothing at it, as one that only has names below it. */
export interface Records {
  readonly addresses: readonly string[];
  readonly targets: readonly Target[];
  readonly host?: string;
}

export const nothing: Records = { addresses: [], targets: [] };
const label = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** All names that a segment has because of its members, and those above them. */
export function namesOf(
  { segment, members }: { readonly segment: string; readonly members: readonly SegmentMember[] },
  domain: string,
): Map<string, Records> {
  const base = `${segment.toLowerCase()}.${domain}`;
  const known = latest(members.filter(({ name }) => label.test(name)));
  const holders = holdersOf(known);
  const names = new Map<string, Records>([
    [domain, nothing],
    [base, nothing],
  ]);
  const own = (member: SegmentMember) => placesOf(member).filter(({ address }) => holders.get(address) === member);
  const held = (member: SegmentMember) => own(member).map(({ address }) => address);
  for (const { name, addresses, targets } of servedBy(known, base, held)) names.set(name, { addresses, targets });
  for (const member of known) {
    // A member has its name for itself, also where another serves something of that name.
    const host = `${member.name}.${base}`;
    names.set(host, { addresses: held(member), targets: [] });
    for (const { reverse } of own(member)) names.set(reverse, { ...nothing, host });
  }
  return names;
}

/** An address in its shortest form, with its name in the reverse tree. */
interface Place {
  readonly address: string;
  readonly reverse: string;
}

/** A member never changes, another one takes its place: so with each that comes or goes only that one is read. */
const places = new WeakMap<SegmentMember, readonly Place[]>();

function placesOf(member: SegmentMember): readonly Place[] {
  const known = places.get(member);
  if (known !== undefined) return known;
  const read = member.addresses.flatMap(canonical).map((address) => ({ address, reverse: reverseName(address) }));
  places.set(member, read);
  return read;
}

/** Of two with one name the one with the higher number. */
function latest(members: readonly SegmentMember[]): SegmentMember[] {
  const byName = new Map<string, SegmentMember>();
  for (const member of members) if (member.sequence >= (byName.get(member.name)?.sequence ?? 0)) byName.set(member.name, member);
  return [...byName.values()];
}

/** Who has an address: of two the one with the higher number. */
function holdersOf(members: readonly SegmentMember[]): Map<string, SegmentMember> {
  const holders = new Map<string, SegmentMember>();
  for (const member of members)
    for (const { address } of placesOf(member)) if (member.sequence >= (holders.get(address)?.sequence ?? 0)) holders.set(address, member);
  return holders;
}

function canonical(address: string): string[] {
  if (isIP(address) === 0 || address.includes("%")) return [];
  const { family, value } = parseAddress(address);
  return [formatAddress(family, value)];
}
