import type { Segment, SiteBlocks } from "../../api/gen/isthmus/v1/segment.js";
import { MeshError } from "../error.js";
import { rangesMeet } from "../ipam/address.js";
import { contains, formatPrefix, numberAt, type Prefix, parsePrefix, part, partsOf } from "../ipam/prefix.js";

/** Of IPv4: what a node gets at least, and at the most: 8 and 256 addresses. */
const node4 = { longest: 29, shortest: 24 };
/** Of IPv6: what a node gets at least, and where there is room: what a network has by its rules. */
const node6 = { longest: 120, usual: 64 };
/** A 16th of what its site has, or of IPv6 a 256th. */
const share4 = 4;
const share6 = 8;

/** A segment has room for twice as many sites as it begins with, and for so many. */
const leastSlots = 4;

/** What is to be cut, and what was cut before: a site that had its part keeps it, also while it takes no part. */
export interface Cutting {
  /** For messages. */
  readonly name: string;
  readonly prefixes: readonly string[];
  readonly sites: readonly string[];
  readonly before: readonly SiteBlocks[];
}

/**
 * What each site may give out. Every prefix is cut into as many slots of one size as there is room for sites; a site has the slots of one
 * number. Throws "exhausted" where a site is added and every slot is another's.
 */
export function cut({ name, prefixes, sites, before }: Cutting): SiteBlocks[] {
  const wholes = prefixes.map(parsePrefix);
  const lengths = wholes.map((whole, at) => slotLength(whole, sites.length, before[0]?.prefixes[at]));
  const room = Math.min(...wholes.map((whole, at) => slots(whole, lengths[at] ?? 0)));
  const taken = new Set(before.map((blocks) => slotOf(wholes, lengths, blocks)));
  const added = sites.filter((site) => before.every((blocks) => blocks.site !== site));
  const cuts = added.map((site): SiteBlocks => {
    const slot = lowestOutside(taken);
    if (slot >= room) throw full(name, prefixes, [...before.map(({ site }) => site), ...added.slice(0, added.indexOf(site))], room);
    taken.add(slot);
    return { site, prefixes: wholes.map((whole, at) => formatPrefix(part(whole, lengths[at] ?? 0, BigInt(slot)))) };
  });
  return [...before, ...cuts];
}

/** How long the prefix of a site is at the most. */
export function longestSite({ family }: Pick<Prefix, "family">): number {
  return family === 4 ? node4.longest : node6.longest;
}

/** How long a prefix may be at the most to hold that many sites. */
export function longestFor(family: Prefix["family"], sites: number): number {
  return longestSite({ family }) - bitsFor(sites);
}

/** The length of the blocks that nodes of a site get out of what it has. */
export function nodeLength(site: Prefix): number {
  if (site.family === 4) return Math.min(node4.longest, Math.max(node4.shortest, site.length + share4));
  return site.length + share6 <= node6.usual ? node6.usual : Math.min(site.length + share6, node6.longest);
}

/** Of the first cut, for ever: where sites come later, nobody's part moves. */
function slotLength(whole: Prefix, sites: number, before: string | undefined): number {
  if (before !== undefined) return parsePrefix(before).length;
  const wanted = whole.length + bitsFor(Math.max(leastSlots, 2 * sites));
  const least = whole.length + bitsFor(sites);
  return Math.max(least, Math.min(wanted, roomiest(whole)));
}

/** What a site has must be worth cutting: a node's share of it is not rounded up. */
function roomiest({ family }: Prefix): number {
  return family === 4 ? node4.longest - share4 : node6.longest - share6;
}

function slots(whole: Prefix, length: number): number {
  return Number(partsOf(whole, length));
}

/** Those of all its prefixes have one number, so the first tells it. */
function slotOf([whole]: readonly Prefix[], [length]: readonly number[], { prefixes: [first] }: SiteBlocks): number {
  if (whole === undefined || length === undefined || first === undefined) return -1;
  return Number(numberAt(whole, length, parsePrefix(first).first));
}

function lowestOutside(taken: ReadonlySet<number>): number {
  for (let slot = 0; ; slot++) if (!taken.has(slot)) return slot;
}

/** So many bits number that many. */
function bitsFor(count: number): number {
  return Math.ceil(Math.log2(Math.max(1, count)));
}

function full(name: string, prefixes: readonly string[], had: readonly string[], room: number): MeshError {
  return new MeshError(
    "exhausted",
    `${prefixes.join(" and ")} of the segment ${name} was cut for ${room} ${room === 1 ? "site" : "sites"} when it was made, and ${had.join(", ")} ${had.length === 1 ? "has its" : "have their"} part; for more sites make another segment, with a larger prefix`,
  );
}

/**
 * Whether what a segment says that its sites may give out can be so: of each prefix one part for each site, and no two with an address in
 * common. Throws "invalid". For segments of other sites, which have cut them.
 */
export function checkCuts({ name, prefixes, siteBlocks }: Pick<Segment, "name" | "prefixes" | "siteBlocks">): void {
  for (const [at, whole] of prefixes.map(parsePrefix).entries()) {
    const parts = siteBlocks.map(({ site, prefixes: texts }) => ({ site, prefix: parsePrefix(texts[at] ?? "") }));
    for (const [number, { site, prefix }] of parts.entries()) {
      if (!contains(whole, prefix))
        throw new MeshError(
          "invalid",
          `the segment ${name} gives ${formatPrefix(prefix)} to ${site}, which is not in ${formatPrefix(whole)}`,
        );
      const other = parts.slice(0, number).find((one) => rangesMeet(one.prefix, prefix));
      if (other !== undefined)
        throw new MeshError(
          "invalid",
          `the segment ${name} gives addresses of ${formatPrefix(prefix)} both to ${other.site} and to ${site}`,
        );
    }
  }
}
