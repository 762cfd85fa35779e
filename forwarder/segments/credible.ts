import { isIP } from "node:net";
import ipaddr from "ipaddr.js";
import type { Segment } from "../../api/gen/isthmus/v1/segment.js";
import { parseRange, type Range } from "../../core/ipam/address.js";
import { contains, isHost, parsePrefix } from "../../core/ipam/prefix.js";
import { Ranges } from "../../core/ipam/ranges.js";
import { RecentMap } from "../../core/recentMap.js";
import { nodeLength } from "../../core/segment/cut.js";
import type { BehindHost, SegmentMember, SegmentNode } from "../../core/segment/membership.js";
import type { StickyWord } from "../../core/segment/stickyWord.js";
import { firstOfSegments } from "../claims.js";
import { bridgeMac, gatewayMac, memberMac, trunkMac } from "./addressing.js";
import { withBehind } from "./behindContest.js";
import { isL2 } from "./devices.js";
import type { Remote } from "./part.js";
import { StickyWords } from "./stickyWords.js";

/** All that is told of a segment, and what this node knows by itself. */
export interface Hearing {
  readonly segment: Pick<Segment, "name" | "layer" | "prefixes" | "siteBlocks" | "allowSpoofing">;
  readonly own: {
    readonly site: string;
    readonly tunnel: string;
    readonly blocks: readonly string[];
    readonly members: readonly Pick<SegmentMember, "mac" | "addresses">[];
  };
  readonly remotes: readonly Remote[];
  /** What the segment's home has said. */
  readonly sticky: readonly StickyWord[];
}

/** Something that another node says and that does not count. */
export interface Doubt {
  /** The SPIFFE id of its forwarder. */
  readonly id: string;
  readonly what: "block" | "address" | "mac" | "prefix" | "member" | "host";
  readonly example: string;
}

/** So many members of a node, and prefixes and hosts behind them, are taken in: each costs every node of the segment something. */
const most = { members: 4_096, prefixes: 256, hosts: 1_024 };

/**
 * What other nodes tell, without what is not theirs to say. A node has blocks out of its site's part and of nobody else's; the addresses of its
 * members lie in its blocks, or are single ones in nobody's block: of its site's part, or of a sticky name that it has claimed, as the segment's
 * home says; its members' MAC addresses are none that follow from another's address; and what it announces lies outside the segment. Hosts are behind
 * its members only where members may bridge for others. So a node of another site that lies harms its own members alone.
 */
export function credible({ segment, own, remotes, sticky }: Hearing): {
  readonly remotes: readonly Remote[];
  readonly doubts: readonly Doubt[];
} {
  const doubts: Doubt[] = [];
  const taken = new Places(own.blocks);
  const having = remotes.map((remote) => {
    const blocks = remote.blocks.filter((block) => {
      const counts = isOfSite(segment, own.site, remote.site, block) && !taken.meets(block);
      if (!counts) doubts.push({ id: remote.id, what: "block", example: block });
      return counts;
    });
    for (const block of blocks) taken.add(block);
    return { remote, blocks, places: new Places(blocks) };
  });
  const inside = new Places(segment.prefixes);
  const words = new StickyWords(segment.name, sticky);
  const macs = isL2(segment) ? new Macs(segment.name, own, having, words) : undefined;
  return {
    remotes: having.map(({ remote, blocks, places }) => {
      const doubt = (what: Doubt["what"], example: string) => void doubts.push({ id: remote.id, what, example });
      let prefixes = 0;
      let hosts = 0;
      const isBehind = ({ mac }: BehindHost) => {
        const isRight = segment.allowSpoofing && macs?.isAnothers(mac, remote.id) !== true && ++hosts <= most.hosts;
        if (!isRight) doubt("host", mac);
        return isRight;
      };
      const part = new Places(partOf(segment, own.site, remote.site));
      const isSingle = (address: string) => !taken.meets(address) && (part.meets(address) || words.has(address));
      const isIn = (address: string) => places.meets(address) || (inside.meets(address) && isSingle(address));
      const members = remote.members.slice(0, most.members).flatMap((told): SegmentMember[] => {
        const member = words.asClaimed(told, remote.id, (address) => places.meets(address));
        // It was moved, and its node has not heard of it yet.
        if (member === undefined) return [];
        if (macs?.isAnothers(member.mac, remote.id) === true) {
          doubt("mac", member.mac);
          return [];
        }
        const addresses = kept(member.addresses, isIn, (address) => doubt("address", address));
        const outside = (prefix: string) => !inside.meets(prefix) && ++prefixes <= most.prefixes;
        const announces = kept(member.announces, outside, (prefix) => doubt("prefix", prefix));
        const bridging = withBehind(member, isBehind);
        return addresses === member.addresses && announces === member.announces ? [bridging] : [{ ...bridging, addresses, announces }];
      });
      const rest = remote.members[most.members];
      if (rest !== undefined) doubt("member", rest.name);
      return { ...remote, blocks, members };
    }),
    doubts,
  };
}

/** Whether a node can be met as it says: by a key, at an address of one host, on a VNI of segments. */
export function canBeMet({ publicKey, vni, at, abroad }: Pick<SegmentNode, "publicKey" | "vni" | "at" | "abroad">): boolean {
  const isKey = /^[A-Za-z0-9+/]{43}=$/.test(publicKey);
  const isVni = vni >= firstOfSegments && vni < 2 ** 24;
  return isKey && isVni && [at, ...(abroad === undefined ? [] : [abroad])].every(isReachable);
}

/** `192.0.2.1:51820` or `[2001:db8::1]:51820`, where packets leave this node. */
function isReachable(text: string): boolean {
  const [, six, four, port] = /^(?:\[([0-9a-f:.]+)\]|([0-9.]+)):([1-9]\d{0,4})$/.exec(text) ?? [];
  if (isIP(six ?? "") !== 6 && isIP(four ?? "") !== 4) return false;
  const range = ipaddr.process(six ?? four ?? "").range();
  return Number(port) <= 65_535 && !["unspecified", "broadcast", "multicast", "loopback", "linkLocal"].includes(range);
}

/** What a site gives its nodes: blocks of one size, and single addresses. One that tells nothing of its sites' parts has but its prefixes. */
function isOfSite(segment: Hearing["segment"], own: string, site: string, block: string): boolean {
  const given = parsePrefix(block);
  const whole = partOf(segment, own, site)
    .map(parsePrefix)
    .find((one) => contains(one, given));
  const isCut = segment.siteBlocks.some((blocks) => blocks.site === site);
  return whole !== undefined && (!isCut || isHost(given) || given.length === nodeLength(whole));
}

/** The own site's registry gives no others than its site's part, whatever the site is called there. */
function partOf({ prefixes, siteBlocks }: Hearing["segment"], own: string, site: string): readonly string[] {
  const part = siteBlocks.find((blocks) => blocks.site === site)?.prefixes;
  return part ?? (siteBlocks.length === 0 || site === own ? prefixes : []);
}

/** The same list where all of it counts. */
function kept(list: readonly string[], counts: (text: string) => boolean, otherwise: (text: string) => void): readonly string[] {
  const left = list.filter((text) => counts(text) || void otherwise(text));
  return left.length === list.length ? list : left;
}

/** Prefixes of both families, as one set of addresses. */
class Places {
  readonly #of = { 4: new Ranges(), 6: new Ranges() };

  constructor(prefixes: readonly string[]) {
    for (const prefix of prefixes) this.add(prefix);
  }

  add(prefix: string): void {
    const range = rangeOf(prefix);
    this.#of[range.family].add(range);
  }

  meets(prefix: string): boolean {
    const range = rangeOf(prefix);
    return this.#of[range.family].meets(range);
  }
}

type Having = { readonly remote: Pick<Remote, "id" | "members">; readonly places: Places };

/**
 * MAC addresses that are somebody's for sure: devices of every node, those that follow from an address in the block of a node, and those that
 * follow from a sticky name.
 */
class Macs {
  /** Whose each may be; "" is this node. Nobody's: devices. */
  readonly #whose = new Map<string, readonly string[]>();

  constructor(segment: string, own: Hearing["own"], having: readonly Having[], words: StickyWords) {
    for (const [mac, { claims }] of words.macs)
      this.#whose.set(
        mac,
        claims.map(({ id }) => id),
      );
    const all = [...having, { remote: { id: "", members: own.members }, places: new Places(own.blocks) }];
    for (const { remote, places } of all)
      for (const { mac, addresses } of remote.members) {
        const [first] = addresses;
        if (first !== undefined && places.meets(first) && macFor(segment, first) === mac) this.#whose.set(mac, [remote.id]);
      }
    for (const mac of [gatewayMac, trunkMac(own.tunnel), bridgeMac(own.tunnel)]) this.#whose.set(mac, []);
  }

  isAnothers(mac: string, id: string): boolean {
    return this.#whose.get(mac)?.includes(id) === false;
  }
}

/** Texts come again with each change of anything, and are read once. */
const read = { ranges: new RecentMap<string, Range>(65_536), macs: new RecentMap<string, string>(65_536) };

function rangeOf(text: string): Range {
  return once(read.ranges, text, () => parseRange(text));
}

function macFor(segment: string, address: string): string {
  return once(read.macs, `${segment} ${address}`, () => memberMac(segment, address));
}

function once<T>(known: RecentMap<string, T>, key: string, find: () => T): T {
  const found = known.get(key) ?? find();
  if (known.get(key) === undefined) known.set(key, found);
  return found;
}
