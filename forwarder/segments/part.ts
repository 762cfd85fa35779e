import type { Segment } from "../../api/gen/isthmus/v1/segment.js";
import type { SegmentMember, SegmentNode } from "../../core/segment/membership.js";
import type { KernelSide } from "../crossConnect.js";

/** This node's part in a segment, as it is kept on disk: JSON. Its members are kept one by one. */
export interface Part {
  /** As the site's registry told it last. */
  readonly segment: Segment;
  /** On which this node receives. */
  readonly vni: number;
  /** Address blocks that the registry gave this node, canonical; single addresses among them. */
  readonly blocks: readonly string[];
}

/** A pod of this node with an interface in a segment. JSON: it is kept on disk. */
export interface Member {
  /** The connection's id in this hop's path segment. */
  readonly id: string;
  readonly segment: string;
  /** A DNS label, the first part of its DNS name. */
  readonly name: string;
  readonly side: KernelSide;
  readonly mac: string;
  /** Without prefix length; one for each of the segment's prefixes. */
  readonly addresses: readonly string[];
  /** Prefixes behind it, canonical. */
  readonly announces: readonly string[];
  /** Prefixes that mean something else to its pod: nobody in the segment draws what is sent there. */
  readonly excludes?: readonly string[];
  /** `NAME` or `NAME:PORT/tcp`. */
  readonly services: readonly string[];
  /** By which a policy knows it: those of its request, and before them those of its pod. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Whether it may send with any source address: it bridges or routes for others. */
  readonly spoofing: boolean;
  /** The pod had another interface with addresses of these prefixes before: only what is sent from this one's address takes this one. */
  readonly beside: boolean;
  /** The name to which its addresses belong, wherever that is; "": they are this node's. */
  readonly sticky: string;
  /** Higher than that of whoever had its address before. */
  readonly sequence: number;
}

/** Another node that has members in a segment. */
export interface Remote extends SegmentNode {
  /** Its tunnel address. */
  readonly tunnel: string;
  readonly members: readonly SegmentMember[];
}

/** What this node says of itself to others of a segment. */
export type OwnNode = Omit<SegmentNode, "segment" | "vni" | "blocks" | "mtu">;

/** The key of a part in the forwarder's state; those of its members begin with `memberKey("")`. */
export function partKey(segment: string): string {
  return `segment/${segment}`;
}

export function memberKey(id: string): string {
  return `member/${id}`;
}
