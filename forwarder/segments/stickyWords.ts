import type { SegmentMember } from "../../core/segment/membership.js";
import type { StickyWord } from "../../core/segment/stickyWord.js";
import { memberMac } from "./addressing.js";

/** Of members that no name brought: honest nodes say no other. */
const usualSequence = 1;

/** What a segment's home has said of its sticky names, by what they have. */
export class StickyWords {
  readonly #of = new Map<string, StickyWord>();
  /** By the MAC address that follows from a name's address, or from the name where it has none. */
  readonly macs = new Map<string, StickyWord>();

  constructor(segment: string, words: readonly StickyWord[]) {
    for (const word of words) {
      this.macs.set(macFor(segment, word), word);
      for (const address of word.addresses) if (isLater(word, this.#of.get(address))) this.#of.set(address, word);
    }
  }

  has(address: string): boolean {
    return this.#of.has(address);
  }

  /**
   * A member of the node `id` with the sequence that it may have; undefined where the home has said that what it has is elsewhere.
   * `isOfNode`: whether an address is the node's own to give.
   */
  asClaimed(member: SegmentMember, id: string, isOfNode: (address: string) => boolean): SegmentMember | undefined {
    let most: number | undefined;
    for (const word of this.#wordsOf(member, isOfNode)) {
      const claim = word.claims.find((one) => one.id === id);
      if (claim === undefined) return undefined;
      most = Math.min(most ?? claim.sequence, claim.sequence);
    }
    most ??= usualSequence;
    return member.sequence <= most ? member : { ...member, sequence: most };
  }

  *#wordsOf({ addresses, mac }: SegmentMember, isOfNode: (address: string) => boolean): Generator<StickyWord> {
    const nameless = addresses.length === 0 ? this.macs.get(mac) : undefined;
    if (nameless !== undefined) yield nameless;
    for (const address of addresses) {
      const word = this.#of.get(address);
      if (word !== undefined && !isOfNode(address)) yield word;
    }
  }
}

/** A word never changes, another one takes its place: so with each that comes only that one's is computed. */
const known = new WeakMap<StickyWord, string>();

function macFor(segment: string, word: StickyWord): string {
  const mac = known.get(word) ?? memberMac(segment, word.addresses[0] ?? word.name);
  known.set(word, mac);
  return mac;
}

/** An address of a name that was given up may be another's by now, who counts on from there. */
function isLater(word: StickyWord, other: StickyWord | undefined): boolean {
  return other === undefined || latestOf(word) > latestOf(other);
}

function latestOf({ claims }: StickyWord): number {
  return claims[0]?.sequence ?? 0;
}
