import type { Answer } from "dns-packet";
import { parseRange, type Range } from "../../core/ipam/address.js";
import type { SegmentMember } from "../../core/segment/membership.js";
import { namesOf, nothing, type Records } from "./records.js";
import { parseReverse, reverseZone } from "./reverse.js";

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

/** Seconds: who is gone is not found any more a second later. */
const ttl = 1;

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
