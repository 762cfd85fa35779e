import type { Segment, SegmentBlock } from "../../api/gen/isthmus/v1/segment.js";
import { ruleWords } from "../../core/segment/policy.js";
import { yaml } from "../output.js";
import { type Counted, countersText } from "./counters.js";
import type { MemberView, MisdeedView, Roster } from "./roster.js";

/** What was applied, and what the registry has added. */
export interface SegmentView {
  readonly name: string;
  readonly layer: string;
  readonly prefixes: readonly string[];
  readonly sites: readonly string[];
  /** "auto": the least that all ways between its nodes carry. */
  readonly mtu: number | "auto";
  readonly dnsDomain: string;
  readonly allowLabels: Readonly<Record<string, string>>;
  readonly exclude: readonly string[];
  readonly floodUnknown: boolean;
  readonly allowSpoofing: boolean;
  /** Who may begin what to whom, a rule a line; without, all may. */
  readonly policy: readonly string[];
  /** The site where it was made. */
  readonly home: string;
  readonly version: number;
  readonly created: string;
  /** What each site may give out. */
  readonly siteBlocks: Readonly<Record<string, readonly string[]>>;
}

export function segmentView(segment: Segment): SegmentView {
  const {
    name,
    layer,
    prefixes,
    sites,
    mtu,
    dnsDomain,
    allowLabels,
    exclude,
    floodUnknown,
    allowSpoofing,
    policy,
    home,
    version,
    createdMs,
  } = segment;
  return {
    ...{ name, layer, prefixes, sites: sites.length === 0 ? [home] : sites, mtu: mtu === 0 ? "auto" : mtu, dnsDomain },
    ...{
      allowLabels,
      exclude,
      floodUnknown,
      allowSpoofing,
      policy: policy.map(ruleWords),
      home,
      version,
      created: new Date(createdMs).toISOString(),
    },
    siteBlocks: Object.fromEntries(segment.siteBlocks.map((blocks) => [blocks.site, blocks.prefixes])),
  };
}

/** A block of addresses, or one address, that a node has. */
export interface BlockView {
  readonly prefix: string;
  /** The SPIFFE id of its nsmgr. */
  readonly node: string;
  /** That of the forwarder which gives the addresses to members. */
  readonly holder: string;
  readonly registered: boolean;
  readonly since: string;
}

export function blockView({ prefix, node, holder, registered, sinceMs }: SegmentBlock): BlockView {
  return { prefix, node, holder, registered, since: new Date(sinceMs).toISOString() };
}

/** All that is known of a segment; its members by number, for they may be many. */
export interface DescribedSegment extends SegmentView, Counted {
  readonly carries: number;
  readonly nodes: readonly object[];
  readonly members: number;
  readonly misdeeds: readonly (Pick<MemberView, "node" | "site"> & MisdeedView & { readonly member: string; readonly meaning: string })[];
}

const meanings = {
  floods: "it sends more broadcast and multicast than a member may, what is more is dropped; is there a loop behind it?",
  spoofs:
    "it sends with addresses that are not its own, which is dropped; one that bridges joins with --allow-spoofing, one that routes with --announce",
} as const;

export function describedSegment(view: SegmentView, { nodes, members }: Roster, counted: Counted): DescribedSegment {
  return {
    ...view,
    carries: leastOf([...nodes.map(({ mtu }) => mtu), view.mtu === "auto" ? 0 : view.mtu]),
    nodes: nodes.map(({ node, site, blocks, at, abroad, vni, mtu, members: here, id, publicKey }) => ({
      ...{ name: node, site, members: here, blocks, mtu, tunnel: at, tunnelFromOtherSites: abroad, vni, id, publicKey },
    })),
    members: members.length,
    misdeeds: members.flatMap(({ name, node, site, misdeeds }) =>
      misdeeds.map((misdeed) => ({ member: name, node, site, ...misdeed, meaning: meanings[misdeed.does] })),
    ),
    ...counted,
  };
}

/** For people: the counters as a table. */
export async function describedText({ counters, countersUnknown, ...rest }: DescribedSegment): Promise<string> {
  const counted = { counters, ...(countersUnknown !== undefined && { countersUnknown }) };
  return `${await yaml(rest)}\n\n${countersText(counted, rest.name)}`;
}

/** The MTU that holds, where 0 says nothing. */
function leastOf(mtus: readonly number[]): number {
  const told = mtus.filter((mtu) => mtu > 0);
  return told.length === 0 ? 0 : Math.min(...told);
}

/** In a few words, for one line. */
export function segmentWords({ name, layer, prefixes, sites, policy, version }: SegmentView): string {
  const addresses = prefixes.length === 0 ? "without addresses" : prefixes.join(" and ");
  const rules = policy.length === 0 ? "" : `, with ${policy.length} ${policy.length === 1 ? "rule" : "rules"} between members`;
  return `${name}: version ${version}, ${layer}, ${addresses}, in ${sites.join(", ")}${rules}`;
}
