import type { NetworkServiceEndpoint } from "../../api/gen/registry/registry.js";
import { formatAddress, parseAddress } from "../ipam/address.js";
import { formatPrefix, parsePrefix } from "../ipam/prefix.js";
import { labelsFor } from "../match.js";
import { RecentMap } from "../recentMap.js";
import { isLabel, mostKeys } from "./policy.js";
import { type StickyWord, stickyWordIn } from "./stickyWord.js";
import { isAnnounceable, mostWishes } from "./wishes.js";

/**
 * What a node says of its part in a segment. It is said in the labels of an endpoint of the segment's network service, so that it
 * reaches every node that has the segment by the watch that it has anyway, ends with the node's registration, and crosses sites as
 * policy allows.
 */
export interface SegmentNode {
  readonly segment: string;
  /** The SPIFFE id of its forwarder, from which its tunnel address follows. The registry lets nobody say another's. */
  readonly id: string;
  readonly node: string;
  readonly site: string;
  /** Of its node tunnel. */
  readonly publicKey: string;
  /** On which it receives. */
  readonly vni: number;
  /** Where nodes of its site reach its node tunnel, as `10.0.1.2:51820`. */
  readonly at: string;
  /** Where nodes of other sites do; undefined: nowhere, it begins. */
  readonly abroad: string | undefined;
  /** The address blocks that it has, canonical. */
  readonly blocks: readonly string[];
  /** Of packets in the segment, as far as its ways to the other nodes carry them; 0: not known. */
  readonly mtu: number;
}

/** A pod with an interface in a segment. */
export interface SegmentMember {
  /** A DNS label. */
  readonly name: string;
  readonly mac: string;
  /** Without prefix length. */
  readonly addresses: readonly string[];
  /** Prefixes behind it. */
  readonly announces: readonly string[];
  /** What it serves, each `NAME` or `NAME:PORT/tcp` (see service.ts). */
  readonly services: readonly string[];
  /** Those of its labels by which rules of the segment's policy know it. Not said: none. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Of two who say that they are one member, or have one address, the one with the higher number does. */
  readonly sequence: number;
  /** Who else is behind it on L2, where it bridges for others; not said: nobody. */
  readonly behind?: readonly BehindHost[];
}

/** A host behind a member. */
export interface BehindHost {
  readonly mac: string;
  /** Of two nodes that say that they have it, the one with the higher number does. */
  readonly sequence: number;
}

/** What an endpoint of a segment tells: a node itself, some of its members, or a sticky name. */
export type Membership =
  | { readonly kind: "node"; readonly node: SegmentNode }
  | { readonly kind: "members"; readonly segment: string; readonly id: string; readonly members: readonly SegmentMember[] }
  /** What the segment's home says of a sticky name. */
  | { readonly kind: "sticky"; readonly segment: string; readonly id: string; readonly word: StickyWord }
  /** Its last member has left; a registration that ends without this may only mean that the node's programs are away. */
  | { readonly kind: "farewell"; readonly segment: string; readonly id: string };

/** Whose word it is: the SPIFFE id of a forwarder, of a sticky name that of a registry. */
export function speakerOf(membership: Membership): string {
  return membership.kind === "node" ? membership.node.id : membership.id;
}

/** So many members share an endpoint: a join writes one of them anew, however many members there are. */
export const membersPerEndpoint = 32;

/** The name of the endpoint that stands for a node, or for its members with that number. */
export function membershipName(segment: string, forwarder: string, shard?: number): string {
  return shard === undefined ? `${segment}.${forwarder}` : `${segment}.${forwarder}.${shard}`;
}

/** So many hosts behind one member are told of, and taken in. */
export const mostBehind = 64;

const memberPrefix = "member.";
/** What has less is no network (RFC 791): whoever said so would end everybody's. */
const leastMtu = 576;
/** A label that is longer would be refused. */
const mostText = 8_000;
/** Others' names are shown to people and kept in logs. */
const shown = /^[\x20-\x7e]{0,253}$/;
const label = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

export function nodeLabels(node: SegmentNode): Record<string, string> {
  const { id, site, publicKey, vni, at, abroad, blocks, mtu } = node;
  return {
    id,
    node: node.node,
    site,
    key: publicKey,
    vni: String(vni),
    at,
    abroad: abroad ?? "none",
    blocks: shortened(blocks).join(","),
    mtu: String(mtu),
  };
}

/** As many as have room in a label: single addresses the last, for they are told with the members that have them. */
function shortened(blocks: readonly string[]): string[] {
  const singles = blocks.filter(isSingle);
  let room = mostText;
  return [...blocks.filter((block) => !isSingle(block)), ...singles].filter((block) => {
    room -= block.length + 1;
    return room >= 0;
  });
}

function isSingle(block: string): boolean {
  return block.endsWith(block.includes(":") ? "/128" : "/32");
}

export function memberLabels(id: string, members: readonly SegmentMember[]): Record<string, string> {
  return { id, ...Object.fromEntries(members.map((member) => [memberPrefix + member.name, memberText(member)])) };
}

/** What a node says before it ends its registration. */
export function farewellLabels(id: string): Record<string, string> {
  return { id, farewell: "true" };
}

/** What an endpoint of the segment's network service says; undefined for one that is none of ours. */
export function membershipOf(endpoint: NetworkServiceEndpoint, segment: string): Membership | undefined {
  const labels = labelsFor(endpoint, segment);
  const { id } = labels;
  if (id === undefined) return undefined;
  if (labels.farewell !== undefined) return { kind: "farewell", segment, id };
  const word = stickyWordIn(labels);
  if (word !== undefined) return { kind: "sticky", segment, id, word };
  if (labels.key !== undefined) return nodeOf(segment, id, labels);
  const members = Object.entries(labels).flatMap(([key, text]) =>
    key.startsWith(memberPrefix) ? (parseMember(key.slice(memberPrefix.length), text) ?? []) : [],
  );
  return { kind: "members", segment, id, members };
}

function nodeOf(segment: string, id: string, labels: Readonly<Record<string, string>>): Membership | undefined {
  const { node = "", site = "", key = "", vni = "", at = "", abroad = "none", blocks = "", mtu = "" } = labels;
  if (!/^\d{1,8}$/.test(vni) || key === "" || at === "") return undefined;
  if (![node, site, key, at, abroad].every((text) => shown.test(text))) return undefined;
  return {
    kind: "node",
    node: {
      ...{ segment, id, node, site, publicKey: key, vni: Number(vni), at },
      abroad: abroad === "none" ? undefined : abroad,
      blocks: words(blocks).filter(isPrefix),
      mtu: /^\d{1,5}$/.test(mtu) && Number(mtu) >= leastMtu ? Number(mtu) : 0,
    },
  };
}

/** `MAC SEQUENCE ADDRESS,ADDRESS PREFIX,PREFIX SERVICE,SERVICE MAC/SEQUENCE,MAC/SEQUENCE KEY=VALUE,KEY=VALUE` */
function memberText({ mac, sequence, addresses, announces, services, behind = [], labels = {} }: SegmentMember): string {
  const hosts = behind.map((host) => `${host.mac}/${host.sequence}`);
  const pairs = Object.entries(labels).map((pair) => pair.join("="));
  return [mac, sequence, ...[addresses, announces, services, hosts, pairs].map((list) => list.join(","))].join(" ").trimEnd();
}

/**
 * Equal words are one member, which is read once: each message has all of an endpoint's members, and most of them are as they were. So
 * many members of all segments are remembered.
 */
const read = new RecentMap<string, SegmentMember>(8_192);

function parseMember(name: string, text: string): SegmentMember | undefined {
  const key = `${name} ${text}`;
  const known = read.get(key);
  if (known !== undefined) return known;
  const [mac = "", sequence = "", addresses = "", announces = "", services = "", hosts = "", labels = ""] = text.split(" ");
  if (!label.test(name) || !isHostMac(mac) || !isSequence(sequence)) return undefined;
  const behind = words(hosts).flatMap(parseBehind).slice(0, mostBehind);
  const member = {
    ...{ name, mac, sequence: Number(sequence) },
    addresses: words(addresses).filter(isAddress).slice(0, mostWishes.addresses),
    announces: words(announces).filter(isAnnounceable).slice(0, mostWishes.announces),
    services: words(services).slice(0, mostWishes.services),
    ...(behind.length === 0 ? {} : { behind }),
    ...(labels === "" ? {} : { labels: parseLabels(labels) }),
  };
  read.set(key, member);
  return member;
}

function parseBehind(text: string): BehindHost[] {
  const [mac = "", sequence = ""] = text.split("/");
  return isHostMac(mac) && isSequence(sequence) ? [{ mac, sequence: Number(sequence) }] : [];
}

function isSequence(text: string): boolean {
  return /^\d{1,15}$/.test(text);
}

function parseLabels(text: string): Record<string, string> {
  const pairs = words(text).map((pair) => pair.split("=", 2));
  return Object.fromEntries(pairs.filter(([key = "", value = ""]) => isLabel(key, value)).slice(0, mostKeys));
}

/** Others may say anything: what is no address in its shortest form is left out. */
function isAddress(text: string): boolean {
  return isWritten(text, () => {
    const { family, value } = parseAddress(text);
    return formatAddress(family, value);
  });
}

function isPrefix(text: string): boolean {
  return isWritten(text, () => formatPrefix(parsePrefix(text)));
}

function isWritten(text: string, write: () => string): boolean {
  try {
    return write() === text;
  } catch {
    return false;
  }
}

/** Whether a text is the MAC address of one interface, in lower case: not one of a group, and not none. */
export function isHostMac(text: string): boolean {
  return /^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/.test(text) && text !== "00:00:00:00:00:00";
}

function words(list: string): string[] {
  return list === "" ? [] : list.split(",");
}
