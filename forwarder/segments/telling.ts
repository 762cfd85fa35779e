import { background } from "../../core/background.js";
import type { Log } from "../../core/log.js";
import { farewellLabels, memberLabels, membershipName, nodeLabels } from "../../core/segment/membership.js";
import { misdeedLabels } from "../../core/segment/misdeeds.js";
import { toldLabels } from "../../core/segment/policy.js";
import type { LocalSegment } from "./local.js";
import type { Misdeeds } from "./misdeeds.js";
import type { OwnNode } from "./part.js";
import type { Publications } from "./publications.js";
import { Shards } from "./shards.js";

export interface TellingParts {
  readonly own: OwnNode;
  /** The name of this forwarder. */
  readonly forwarder: string;
  readonly publications: Publications;
  readonly misdeeds: Pick<Misdeeds, "of">;
  readonly log: Log;
}

/** Tells the others of a segment that this node is in it, and who its members are. */
export class Telling {
  readonly #parts: TellingParts;
  readonly #local: LocalSegment;
  readonly #shards = new Shards();
  /** What was said of the node last; undefined while nothing is to be said. */
  #said: string | undefined;

  constructor(local: LocalSegment, parts: TellingParts) {
    this.#local = local;
    this.#parts = parts;
  }

  /** From now on the node is told of. Resolves when the registry has it. */
  async begin(): Promise<void> {
    const { segment } = this.#local.part;
    const labels = this.#labels();
    this.#said = JSON.stringify(labels);
    await this.#parts.publications.say(this.#endpoint(), segment.name, labels);
  }

  /** What is said of the node may have changed. Nobody waits for it. */
  again(): void {
    const isNews = this.#said !== undefined && this.#said !== JSON.stringify(this.#labels());
    if (isNews) this.#background("saying that this node is in a segment", this.begin());
  }

  /** The segment has another policy, which may know members by other labels. */
  policyChanged(): void {
    for (const shard of this.#shards.numbers) this.#say(shard);
  }

  add(id: string): void {
    this.#say(this.#shards.add(id));
  }

  /** What is told of it has changed. Nothing is said of one that was not told of yet. */
  renew(id: string): void {
    if (this.#shards.has(id)) this.add(id);
  }

  remove(id: string): void {
    const shard = this.#shards.remove(id);
    if (shard !== undefined) this.#say(shard);
  }

  /** The last word, in which others see that this is no mere failure. Whoever tells of this node again after the call is not in its way. */
  async end(): Promise<void> {
    const { publications, own } = this.#parts;
    this.#said = undefined;
    const shards = this.#shards.numbers.map((shard) => publications.end(this.#endpoint(shard)));
    await Promise.all([publications.end(this.#endpoint(), farewellLabels(own.id)), ...shards]);
  }

  #say(shard: number): void {
    const { publications, own } = this.#parts;
    const { segment } = this.#local.part;
    const told = this.#shards.ids(shard).flatMap((id) => {
      const member = this.#local.member(id)?.member;
      return member === undefined
        ? []
        : [{ ...member, behind: this.#local.behind(id), labels: toldLabels(segment.policy, member.labels ?? {}) }];
    });
    const name = this.#endpoint(shard);
    const said = told.length === 0 ? publications.end(name) : publications.say(name, segment.name, memberLabels(own.id, told));
    this.#background("saying who is in a segment", said);
  }

  #labels(): Record<string, string> {
    const { segment, vni, blocks } = this.#local.part;
    const { own, misdeeds } = this.#parts;
    const labels = nodeLabels({ ...own, segment: segment.name, vni, blocks, mtu: this.#local.ownMtu });
    return { ...labels, ...misdeedLabels(misdeeds.of(segment.name)) };
  }

  #endpoint(shard?: number): string {
    return membershipName(this.#local.part.segment.name, this.#parts.forwarder, shard);
  }

  #background(name: string, task: Promise<void>): void {
    background(this.#parts.log, name, task, { segment: this.#local.part.segment.name });
  }
}
