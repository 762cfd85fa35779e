import type { Segment } from "../../api/gen/isthmus/v1/segment.js";
import { sameMessage } from "../../core/equal.js";
import type { SegmentMember } from "../../core/segment/membership.js";
import type { Dataplane } from "../dataplane.js";
import { remoteObjects } from "./objects.js";
import type { Remote } from "./part.js";

type End = Pick<Remote, "tunnel" | "vni">;

/** What members of other nodes have in this one's kernel: a unit each, so that one that comes or goes is no work with all the others. */
export class RemoteMembers {
  readonly #dataplane: Pick<Dataplane, "revise">;
  #policy: Segment["policy"] = [];
  #known = new Map<string, { readonly member: SegmentMember; readonly end: End }>();

  constructor(dataplane: Pick<Dataplane, "revise">) {
    this.#dataplane = dataplane;
  }

  /** From now on these are there, and no others. */
  set(segment: Pick<Segment, "layer" | "policy">, remotes: readonly Remote[]): void {
    const before = this.#known;
    const isSamePolicy = sameMessage(segment.policy, this.#policy);
    this.#policy = segment.policy;
    this.#known = new Map(
      remotes.flatMap((end) => end.members.map((member) => [`remote/${end.id} ${member.name}`, { member, end }] as const)),
    );
    for (const unit of before.keys()) if (!this.#known.has(unit)) this.#dataplane.revise(unit, []);
    for (const [unit, { member, end }] of this.#known) {
      const known = before.get(unit);
      // A member never changes, another one takes its place.
      if (isSamePolicy && known?.member === member && isSame(known.end, end)) continue;
      this.#dataplane.revise(unit, remoteObjects(segment, end, member));
    }
  }
}

function isSame(a: End, b: End): boolean {
  return a.tunnel === b.tunnel && a.vni === b.vni;
}
