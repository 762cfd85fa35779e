import type { Segment } from "../../api/gen/isthmus/v1/segment.js";
import type { KernelObject } from "../../kernel/model.js";
import { bridgedMember, bridgedTrunk } from "./bridged.js";
import { isL2, type SegmentView } from "./devices.js";
import type { Member, Part, Remote } from "./part.js";
import { routedMember, routedTrunk } from "./routed.js";

/** What a node has of a segment besides its members: the way to all other nodes, and what is reached there. */
export function trunkObjects(part: Part, remotes: readonly Remote[], view: SegmentView): KernelObject[] {
  const sources = remotes.map(({ tunnel }): KernelObject => ({ kind: "vxlan-source", source: tunnel, vni: part.vni }));
  return [...sources, ...(isL2(part.segment) ? bridgedTrunk : routedTrunk)(part, remotes, view)];
}

/** A member's interface, all that is in its pod, and what makes packets find it. `reached`: prefixes behind other members. */
export function memberObjects(segment: Segment, member: Member, view: SegmentView, reached: readonly string[]): KernelObject[] {
  return isL2(segment) ? bridgedMember(segment, member, view) : routedMember(segment, member, view, reached);
}
