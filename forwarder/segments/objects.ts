import type { Segment } from "../../api/gen/isthmus/v1/segment.js";
import type { SegmentMember } from "../../core/segment/membership.js";
import type { KernelObject } from "../../kernel/model.js";
import { bridgeDevice, bridgedMember, bridgedRemote, bridgedTrunk } from "./bridged.js";
import { isL2, type SegmentView } from "./devices.js";
import type { Member, Part, Remote } from "./part.js";
import { groupMembers } from "./policy.js";
import { routedMember, routedTrunk } from "./routed.js";

/** What a node has of a segment besides its members: the way to all other nodes, and what is reached there. */
export function trunkObjects(part: Part, remotes: readonly Remote[], view: SegmentView): KernelObject[] {
  const sources = remotes.map(({ tunnel }): KernelObject => ({ kind: "vxlan-source", source: tunnel, vni: part.vni }));
  return [...sources, ...(isL2(part.segment) ? bridgedTrunk : routedTrunk)(part, remotes, view)];
}

/** What a member of another node has here: on L3 its node's blocks say enough but for a policy. */
export function remoteObjects(
  segment: Pick<Segment, "layer" | "policy">,
  remote: Pick<Remote, "tunnel" | "vni">,
  member: SegmentMember,
): KernelObject[] {
  return [...(isL2(segment) ? bridgedRemote(remote, member) : []), ...groupMembers(segment, member)];
}

/** What a member has in the kernel. */
export interface MemberUnits {
  /** Its interface, all that is in its pod, and what makes packets find it. */
  readonly own: readonly KernelObject[];
  /** What it has where all members have something, on the bridge and in the groups of a policy: apart, so that a look there is none at all of them. */
  readonly shared: readonly KernelObject[];
}

/** `reached`: prefixes behind other members. */
export function memberUnits(segment: Segment, member: Member, view: SegmentView, reached: readonly string[]): MemberUnits {
  const groups = groupMembers(segment, member);
  if (!isL2(segment)) return { own: routedMember(segment, member, view, reached), shared: groups };
  const objects = bridgedMember(segment, member, view);
  const isShared = (object: KernelObject) => object.kind === "neighbour" && object.device === bridgeDevice;
  return { own: objects.filter((object) => !isShared(object)), shared: [...objects.filter(isShared), ...groups] };
}
