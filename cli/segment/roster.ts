import type { NetworkServiceEndpoint } from "../../api/gen/registry/registry.js";
import { membershipOf, type SegmentMember, type SegmentNode } from "../../core/segment/membership.js";
import { type Misdeed, misdeedsOf } from "../../core/segment/misdeeds.js";
import { siteName } from "../../core/siteNames.js";

/** A pod in a segment. */
export interface MemberView {
  readonly segment: string;
  readonly name: string;
  /** Empty where its node has not told of itself. */
  readonly node: string;
  readonly site: string;
  readonly addresses: readonly string[];
  readonly mac: string;
  readonly announces: readonly string[];
  readonly services: readonly string[];
  /** What it sends that its node drops. */
  readonly misdeeds: readonly MisdeedView[];
  /** MAC addresses of hosts behind it. */
  readonly behind: readonly string[];
}

export interface MisdeedView {
  readonly does: "floods" | "spoofs";
  readonly since: string;
  /** Packets, in round numbers. */
  readonly droppedAtLeast: number;
}

/** A node that has a part of a segment. */
export interface NodeView extends Omit<SegmentNode, "segment" | "abroad"> {
  /** Empty: nowhere, it begins. */
  readonly abroad: string;
  readonly members: number;
}

export interface Roster {
  readonly nodes: readonly NodeView[];
  readonly members: readonly MemberView[];
}

type Told = SegmentMember & { readonly id: string; readonly site: string | undefined };

/** Who is in a segment, as its endpoints tell, by name. Of two who say that they are one member, the one who holds. */
export function rosterOf(endpoints: readonly NetworkServiceEndpoint[], segment: string): Roster {
  const nodes = new Map<string, SegmentNode>();
  const members = new Map<string, Told>();
  const misdeeds = new Map<string, readonly Misdeed[]>();
  for (const endpoint of endpoints) {
    const membership = membershipOf(endpoint, segment);
    if (membership?.kind === "node") {
      nodes.set(membership.node.id, membership.node);
      misdeeds.set(membership.node.id, misdeedsOf(endpoint, segment));
    } else if (membership?.kind === "members")
      for (const member of membership.members)
        if (member.sequence >= (members.get(member.name)?.sequence ?? 0))
          members.set(member.name, { ...member, id: membership.id, site: siteName(endpoint.name).site });
  }
  const all = [...members.values()];
  const nodeViews = [...nodes.values()].map(({ segment: _, abroad, ...node }): NodeView => {
    return { ...node, abroad: abroad ?? "", members: all.filter(({ id }) => id === node.id).length };
  });
  return {
    nodes: nodeViews.sort((a, b) => compare(a.site, b.site) || compare(a.node, b.node)),
    members: all
      .map((member) => memberView(segment, member, nodes.get(member.id), misdeeds.get(member.id)))
      .sort((a, b) => compare(a.name, b.name)),
  };
}

/** The segments that have anybody in them. */
export function segmentsOf(endpoints: readonly NetworkServiceEndpoint[]): string[] {
  const hasAnybody = (endpoint: NetworkServiceEndpoint, name: string) => {
    const kind = membershipOf(endpoint, name)?.kind;
    return kind === "node" || kind === "members";
  };
  const named = endpoints.flatMap((endpoint) =>
    endpoint.networkServiceNames.filter((name) => siteName(name).site === undefined && hasAnybody(endpoint, name)),
  );
  return [...new Set(named)].sort(compare);
}

function memberView(segment: string, member: Told, node: SegmentNode | undefined, ofNode: readonly Misdeed[] = []): MemberView {
  const { name, addresses, mac, announces, services, behind = [] } = member;
  return {
    ...{ segment, name, node: node?.node ?? "", site: node?.site ?? member.site ?? "", addresses, mac, announces, services },
    behind: behind.map((host) => host.mac),
    misdeeds: ofNode.filter((misdeed) => misdeed.member === name).map(misdeedView),
  };
}

function misdeedView({ kind, sinceMs, dropped }: Misdeed): MisdeedView {
  return { does: kind === "flooded" ? "floods" : "spoofs", since: new Date(sinceMs).toISOString(), droppedAtLeast: dropped };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
