import type { Segment } from "../../api/gen/isthmus/v1/segment.js";
import type { SegmentMember } from "../../core/segment/membership.js";
import { isL2 } from "./devices.js";
import type { Member, Remote } from "./part.js";

/** All that is told of a segment's members. */
export interface Told {
  readonly segment: Pick<Segment, "layer">;
  /** The SPIFFE id of this node's forwarder. */
  readonly own: string;
  /** This node's. */
  readonly members: readonly Member[];
  readonly remotes: readonly Remote[];
}

/** What counts of it. */
export interface Outcome {
  /** With those of their members that count. */
  readonly remotes: readonly Remote[];
  /** The ids of this node's members that do not. */
  readonly lost: readonly string[];
}

type Holder = Pick<SegmentMember, "addresses" | "mac">;

/** Who says that it has an address, or a MAC: the SPIFFE id of its node's forwarder. */
interface Word {
  readonly id: string;
  readonly sequence: number;
}

/**
 * Of two members that say that they have one address, on L2 also one MAC, the one with the higher sequence is there: the other was moved.
 * Who has no sticky name here has an address that is this node's to give, and stays.
 */
export function contest({ segment, own, members, remotes }: Told): Outcome {
  const has = ({ addresses, mac }: Holder) => (isL2(segment) ? [...addresses, mac] : addresses);
  const last = new Map<string, Word>();
  let isContested = false;
  const hear = (holder: Holder, word: Word) => {
    for (const key of has(holder)) {
      const other = last.get(key);
      isContested ||= other !== undefined;
      if (other === undefined || isLater(word, other)) last.set(key, word);
    }
  };
  for (const member of members) hear(member, ours(own, member));
  for (const { id, members: theirs } of remotes) for (const member of theirs) hear(member, { id, sequence: member.sequence });
  if (!isContested) return { remotes, lost: [] };
  const stands = (holder: Holder, word: Word) => has(holder).every((key) => !isLater(last.get(key) ?? word, word));
  return {
    remotes: remotes.map((remote) => {
      const counted = remote.members.filter((member) => stands(member, { id: remote.id, sequence: member.sequence }));
      return counted.length === remote.members.length ? remote : { ...remote, members: counted };
    }),
    lost: members.flatMap((member) => (stands(member, ours(own, member)) ? [] : [member.id])),
  };
}

function ours(own: string, { sticky, sequence }: Member): Word {
  return { id: own, sequence: sticky === "" ? Number.POSITIVE_INFINITY : sequence };
}

/** All nodes must come to the same end, so where two say the same number their ids decide. */
function isLater(a: Word, b: Word): boolean {
  return a.sequence > b.sequence || (a.sequence === b.sequence && a.id > b.id);
}
