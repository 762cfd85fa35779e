import { type PrefixRequest, type PrefixResponse, Type } from "../api/gen/ipam/ipam.js";
import type {
  CountedNode,
  DeleteSegmentRequest,
  ListBlocksRequest,
  ReleaseBlocksRequest,
  Segment,
  SegmentCountersRequest,
  SegmentList,
  StickyClaim,
  StickyLease,
} from "../api/gen/isthmus/v1/segment.js";
import { MeshError } from "../core/error.js";
import { checkCount, checkName, checkText, checkTextMap, checkTexts } from "./check.js";
import { limits } from "./limits.js";

/** Sizes only: what a segment may be is for its registry to say. */
export function checkSegment(segment: Segment): void {
  checkName("the segment's name", segment.name);
  checkName("the segment's layer", segment.layer);
  checkTexts("the segment's prefixes", segment.prefixes, limits.cidrs, limits.ipText);
  checkCount("the segment's sites", segment.sites.length, limits.sites);
  for (const site of segment.sites) checkName("a site of the segment", site);
  checkName("the segment's DNS domain", segment.dnsDomain);
  checkTextMap("the labels that the segment wants", segment.allowLabels);
  checkTexts("the addresses that the segment excludes", segment.exclude, limits.ipEntries, limits.ipText);
  checkCount("the segment's policy", segment.policy.length, limits.memberRules);
  for (const { from, to, ports } of segment.policy) {
    checkTextMap("the labels of a rule of the segment's policy", from);
    checkTextMap("the labels of a rule of the segment's policy", to);
    checkTexts("the ports of a rule of the segment's policy", ports, limits.memberPorts, limits.portText);
  }
  checkName("the segment's home", segment.home);
  checkCount("the segment's list of what each site may give out", segment.siteBlocks.length, limits.sites);
  for (const { site, prefixes } of segment.siteBlocks) {
    checkName("a site of the segment", site);
    checkTexts("what a site may give out", prefixes, limits.cidrs, limits.ipText);
  }
  if (!Number.isFinite(segment.createdMs))
    throw new MeshError("invalid", `the time when the segment was made must be milliseconds since 1970, got ${segment.createdMs}`);
}

export function checkSegments({ segments }: SegmentList): void {
  checkCount("the list of segments", segments.length, limits.segments);
  for (const segment of segments) checkSegment(segment);
}

export function checkDeleteSegment({ name }: DeleteSegmentRequest): void {
  checkName("the segment's name", name);
}

export function checkListBlocks({ segment }: ListBlocksRequest): void {
  checkName("the segment's name", segment);
}

export function checkReleaseBlocks({ segment, node }: ReleaseBlocksRequest): void {
  checkName("the segment's name", segment);
  checkText("the node", node, limits.url);
}

export function checkStickyClaim({ segment, name, wishes, connection, forwarder, nsmgr }: StickyClaim): void {
  checkName("the segment's name", segment);
  checkName("the sticky name", name);
  checkTexts("the addresses of the sticky name", wishes, limits.cidrs, limits.ipText);
  checkName("the connection of the sticky name", connection);
  checkText("the forwarder of the sticky name", forwarder, limits.url);
  checkText("the nsmgr of the sticky name", nsmgr, limits.url);
}

export function checkStickyLease({ addresses }: StickyLease): void {
  checkTexts("the addresses of the sticky name", addresses, limits.cidrs, limits.ipText);
}

export function checkCountersRequest({ segment }: SegmentCountersRequest): void {
  checkName("the segment's name", segment);
}

export function checkCounted({ node, members }: CountedNode): void {
  checkName("the name of the node that has counted", node);
  checkCount("the list of members that were counted", members.length, limits.members);
  for (const { name } of members) checkName("the name of a member that was counted", name);
}

export function checkPrefixRequest({ type, prefix, excludePrefixes }: PrefixRequest): void {
  if (type !== Type.ALLOCATE && type !== Type.DELETE)
    throw new MeshError("invalid", `the type of a prefix request must be ALLOCATE (1) or DELETE (2), got ${type}`);
  checkText("the prefix", prefix, limits.ipText);
  checkTexts("the prefixes to exclude", excludePrefixes, limits.ipEntries, limits.ipText);
}

export function checkBlock({ prefix, excludePrefixes }: PrefixResponse): void {
  checkText("the prefix", prefix, limits.ipText);
  checkTexts("the prefixes to exclude", excludePrefixes, limits.ipEntries, limits.ipText);
}
