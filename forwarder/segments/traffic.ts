import type { CountedMember, CountedNode, Traffic } from "../../api/gen/isthmus/v1/segment.js";
import { MeshError } from "../../core/error.js";
import type { Link } from "../../core/peer.js";
import { ofOneSite } from "../../identity/spiffe.js";
import type { Counters } from "../../kernel/model.js";
import type { SegmentCountersApi } from "../../rpc/segmentCounters.js";
import type { LocalSegment, MemberCounters } from "./local.js";
import type { Segments } from "./segments.js";

/** isthmus.v1.SegmentCounters of this node. The site's own programs are answered, and nobody else. */
export function segmentCounters(segments: Pick<Segments, "present">, node: string): SegmentCountersApi {
  return {
    async read(segment, _, link) {
      mustBeOwn(link);
      const local = segments.present.find(({ name }) => name === segment)?.local;
      return { node, others: undefined, members: [], ...(local === undefined ? {} : await counted(local)) };
    },
  };
}

async function counted(local: LocalSegment): Promise<Pick<CountedNode, "others" | "members">> {
  const [members, trunk] = await Promise.all([local.counters(), local.trunkCounters()]);
  return { others: trunk && received(trunk), members: members.map(memberOf).sort((a, b) => (a.name < b.name ? -1 : 1)) };
}

function memberOf({ name, counters }: MemberCounters): CountedMember {
  const { rxPackets, rxBytes, txPackets, txBytes, spoofed = 0, flooded = 0 } = counters;
  // What its port received the member has sent.
  const traffic = { receivedPackets: txPackets, receivedBytes: txBytes, sentPackets: rxPackets, sentBytes: rxBytes };
  return { name, traffic, spoofed, flooded };
}

function received({ rxPackets, rxBytes, txPackets, txBytes }: Counters): Traffic {
  return { receivedPackets: rxPackets, receivedBytes: rxBytes, sentPackets: txPackets, sentBytes: txBytes };
}

function mustBeOwn(link: Link | undefined): void {
  if (link === undefined || ofOneSite(link.peer.id, link.self)) return;
  throw new MeshError("denied", `${link.peer.id} is of another site; what passes on this node is told to its own site's programs only`);
}
