import { isIP } from "node:net";
import type { Answer } from "dns-packet";
import { formatAddress, parseAddress, parseRange, type Range } from "../../core/ipam/address.js";
import type { SegmentMember } from "../../core/segment/membership.js";
import { parseReverse, reverseName, reverseZone } from "./reverse.js";
import { servedBy, type Target } from "./served.js";

export interface ZoneParts {
  /** As `plant.mesh`: this name and all below it are ours, and nobody else is asked for them. */
  readonly domain: string;
  readonly segment: string;
  /** As nodes tell them: what is no name or address in there is left out. */
  readonly members: readonly SegmentMember[];
  /** The segment's: nobody else is asked for the names of their addresses. */
  readonly prefixes?: readonly string[];
}

export interface Question {
  readonly name: string;
  /** As `AAAA`. */
  readonly type: string;
}

/** What a zone says to a question about a name of its own. */
export interface Found {
  readonly rcode: "NOERROR" | "NXDOMAIN";
  readonly answers: readonly Answer[];
  /** With an SOA where there is no answer, so that it is not remembered for long (RFC 2308). */
  readonly authorities: readonly Answer[];
  readonly additionals: readonly Answer[];
}

/** What is at a name; a name may be there with nothing at it, as one that only has names below it. */
interface Records {
  readonly addresses: readonly string[];
  readonly targets: readonly Target[];
  readonly host?: string;
}

/** Seconds: who is gone is not found any more a second later. */
const ttl = 1;
const nothing: Records = { addresses: [], targets: [] };
const label = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/**
 * The names of a segment: `MEMBER.SEGMENT.DOMAIN`, `SERVICE.SEGMENT.DOMAIN` (all members that serve it), `_SERVICE._tcp.SEGMENT.DOMAIN`,
 * and those of its members' addresses. It never changes: there is another one for other members.
 */
export class Zone {
  readonly #parts: ZoneParts;
  readonly #domain: string;
  readonly #prefixes: readonly { readonly range: Range; readonly zone: string }[];
  #names: ReadonlyMap<string, Records> | undefined;

  /** Throws "invalid" for a prefix that is none. */
  constructor(parts: ZoneParts) {
    this.#parts = parts;
    this.#domain = parts.domain.toLowerCase();
    this.#prefixes = (parts.prefixes ?? []).map((prefix) => ({ range: parseRange(prefix), zone: reverseZone(prefix) }));
  }

  /** Undefined for a name that is none of ours. Of several records another one comes first with each `turn`. */
  find(question: Question, turn = 0): Found | undefined {
    const name = question.name.toLowerCase();
    // Members come and go more often than somebody asks.
    this.#names ??= namesOf(this.#parts, this.#domain);
    const records = this.#names.get(name);
    if (records !== undefined) return this.#told(question, records, turn);
    if (name.endsWith(`.${this.#domain}`)) return this.#missing(name, "NXDOMAIN");
    const reverse = parseReverse(name);
    if (reverse === undefined || this.#prefixes.every(({ range }) => !holds(range, reverse.range))) return undefined;
    // Above whole names there may be some, as far as we know.
    const whole = reverse.range.first === reverse.range.last;
    return this.#missing(name, whole ? "NXDOMAIN" : "NOERROR");
  }

  #told(question: Question, records: Records, turn: number): Found {
    const name = question.name.toLowerCase();
    if (question.type === "SOA" && name === this.#domain)
      return { rcode: "NOERROR", answers: [this.#soa(name)], authorities: [], additionals: [] };
    const answers = rotated(recordsOf(question, records), turn);
    if (answers.length === 0) return this.#missing(name, "NOERROR");
    const hosts = question.type === "SRV" ? [...new Set(records.targets.map(({ host }) => host))] : [];
    const additionals = hosts.flatMap((host) => addressesOf(host, "ANY", this.#names?.get(host) ?? nothing));
    return { rcode: "NOERROR", answers, authorities: [], additionals };
  }

  #missing(name: string, rcode: Found["rcode"]): Found {
    return { rcode, answers: [], authorities: [this.#soa(name)], additionals: [] };
  }

  /** Of the zone that has the name: the domain, or what of the reverse tree is ours. */
  #soa(name: string): Answer {
    const reverse = this.#prefixes.find(({ zone }) => name === zone || name.endsWith(`.${zone}`))?.zone ?? name;
    const owner = name === this.#domain || name.endsWith(`.${this.#domain}`) ? this.#domain : reverse;
    const data = { mname: this.#domain, rname: `hostmaster.${this.#domain}`, serial: 1, refresh: 3600, retry: 600, expire: 86_400 };
    return { type: "SOA", name: owner, ttl, class: "IN", data: { ...data, minimum: ttl } };
  }
}

function namesOf({ segment, members }: ZoneParts, domain: string): Map<string, Records> {
  const base = `${segment.toLowerCase()}.${domain}`;
  const known = latest(members.filter(({ name }) => label.test(name)));
  const holders = holdersOf(known);
  const names = new Map<string, Records>([
    [domain, nothing],
    [base, nothing],
  ]);
  const held = (member: SegmentMember) => member.addresses.flatMap(canonical).filter((address) => holders.get(address) === member);
  for (const { name, addresses, targets } of servedBy(known, base, held)) names.set(name, { addresses, targets });
  for (const member of known) {
    // A member has its name for itself, also where another serves something of that name.
    const host = `${member.name}.${base}`;
    names.set(host, { addresses: held(member), targets: [] });
    for (const address of held(member)) names.set(reverseName(address), { ...nothing, host });
  }
  return names;
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
    for (const address of member.addresses.flatMap(canonical))
      if (member.sequence >= (holders.get(address)?.sequence ?? 0)) holders.set(address, member);
  return holders;
}

function canonical(address: string): string[] {
  if (isIP(address) === 0 || address.includes("%")) return [];
  const { family, value } = parseAddress(address);
  return [formatAddress(family, value)];
}

function recordsOf({ name, type }: Question, records: Records): Answer[] {
  const { host, targets } = records;
  const all = type === "ANY";
  const pointer: Answer[] = host !== undefined && (all || type === "PTR") ? [{ type: "PTR", name, ttl, class: "IN", data: host }] : [];
  const services = (all || type === "SRV" ? targets : []).map(
    ({ port, host: target }): Answer => ({ type: "SRV", name, ttl, class: "IN", data: { priority: 0, weight: 0, port, target } }),
  );
  return [...addressesOf(name, type, records), ...pointer, ...services];
}

function addressesOf(name: string, wanted: string, { addresses }: Records): Answer[] {
  return addresses.flatMap((data): Answer[] => {
    const type = data.includes(":") ? "AAAA" : "A";
    return wanted === type || wanted === "ANY" ? [{ type, name, ttl, class: "IN", data }] : [];
  });
}

function rotated<T>(list: readonly T[], turn: number): T[] {
  const by = list.length === 0 ? 0 : turn % list.length;
  return [...list.slice(by), ...list.slice(0, by)];
}

function holds(outer: Range, inner: Range): boolean {
  return outer.family === inner.family && outer.first <= inner.first && inner.last <= outer.last;
}
