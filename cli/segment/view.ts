import type { Segment } from "../../api/gen/isthmus/v1/segment.js";
import { ruleWords } from "../../core/segment/policy.js";
import type { Roster } from "./roster.js";

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

/** All that is known of a segment; its members by number, for they may be many. */
export function describedSegment(view: SegmentView, { nodes, members }: Roster): object {
  return {
    ...view,
    carries: leastOf([...nodes.map(({ mtu }) => mtu), view.mtu === "auto" ? 0 : view.mtu]),
    nodes: nodes.map(({ node, site, blocks, at, abroad, vni, mtu, members: here, id, publicKey }) => ({
      ...{ name: node, site, members: here, blocks, mtu, tunnel: at, tunnelFromOtherSites: abroad, vni, id, publicKey },
    })),
    members: members.length,
  };
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
