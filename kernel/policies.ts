import { errnoOf } from "./ffi/system.js";
import type { GroupMember, KernelObject, Policy, SegmentLayer } from "./model.js";
import type { Nft } from "./nft.js";
import type { NftElements, NftTable } from "./nftElements.js";
import { elementOf, groupSet, isGroupSet, memberIn, policyNft, policyPlace } from "./policyGroups.js";
import { policyRules, policyText, seal, sealOf, setsOfGroups } from "./policyRules.js";

const deviceLength = 16;

/** The policy of a segment's namespace, and who is in its groups: a table of its own, which is there while a policy is. */
export class Policies {
  readonly #layer: SegmentLayer;
  readonly #nft: Nft;
  readonly #elements: NftElements;
  readonly #table: NftTable;
  /** The chains as this process wrote them last. */
  #right: Buffer | undefined;

  constructor(layer: SegmentLayer, nft: Nft, elements: NftElements) {
    this.#layer = layer;
    this.#nft = nft;
    this.#elements = elements;
    this.#table = policyNft(layer);
  }

  /** All that is there; a policy that is not the wanted one only shows that it is another. */
  list(wanted: readonly KernelObject[]): (Policy | GroupMember)[] {
    const sealed = this.#elements.data(this.#seal, sealKey());
    const members = this.#members();
    if (sealed === undefined) return members;
    const policy = wanted.find((object) => object.kind === "policy");
    if (policy === undefined || !sealed.equals(sealOf(policy))) return [this.#other("it is another one"), ...members];
    // The rules that an earlier process wrote: nothing but writing them again says that they are still those.
    if (this.#right === undefined) this.#write(policy);
    return [this.#isRight() ? policy : this.#other("it was changed by somebody else"), ...members];
  }

  /** Makes or changes it, so that no packet meets a gap. */
  settle(object: Policy | GroupMember): void {
    if (object.kind === "policy") this.#write(object);
    else this.#add(object);
  }

  /** Not there: nothing to do. */
  remove(object: Policy | GroupMember): void {
    if (object.kind === "policy") this.#removeTable();
    else this.#removeMember(object);
  }

  get #seal() {
    return { ...this.#table, set: seal.set };
  }

  #members(): GroupMember[] {
    const members = (set: string) => this.#elements.list({ ...this.#table, set }).map((key) => memberIn(set, key));
    return this.#elements.sets(this.#table).filter(isGroupSet).flatMap(members);
  }

  #other(fault: string): Policy {
    return { kind: "policy", layer: this.#layer, rules: [], behind: {}, fault };
  }

  #write(policy: Policy): void {
    const named = setsOfGroups(policy);
    const stale = this.#elements.sets(this.#table).filter((set) => isGroupSet(set) && !named.includes(set));
    try {
      this.#nft.run(policyText(policy, stale));
    } catch (error) {
      this.#writeAnew(policy, error);
    }
    this.#right = this.#chains();
  }

  /** What is there is not ours to change, as a table of another version: its members are known all the same. */
  #writeAnew(policy: Policy, error: unknown): void {
    const named = setsOfGroups(policy);
    const kept = this.#members()
      .map(elementOf)
      .filter(({ set }) => named.includes(set.set));
    try {
      this.#nft.run(`delete table ${policyPlace(this.#layer)}\n${policyText(policy)}`);
    } catch {
      throw error;
    }
    if (kept.length > 0) this.#elements.addAll(kept);
  }

  #add(member: GroupMember): void {
    const { set, key } = elementOf(member);
    try {
      this.#elements.add(set, key);
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw error;
      this.#nft.run(groupSet(member).join("\n"));
      this.#elements.add(set, key);
    }
  }

  #removeMember(member: GroupMember): void {
    const { set, key } = elementOf(member);
    this.#elements.remove(set, key);
  }

  #removeTable(): void {
    this.#right = undefined;
    const place = policyPlace(this.#layer);
    this.#nft.run(`add table ${place}\ndelete table ${place}`);
  }

  #isRight(): boolean {
    return this.#right?.equals(this.#chains()) === true;
  }

  #chains(): Buffer {
    const names = Object.keys(policyRules(this.#other("")).chains);
    return Buffer.concat(names.map((chain) => this.#elements.chain({ ...this.#table, chain })));
  }
}

function sealKey(): Buffer {
  const key = Buffer.alloc(deviceLength);
  key.write(seal.key);
  return key;
}
