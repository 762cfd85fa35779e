import { membersPerEndpoint } from "../../core/segment/membership.js";

/** Which members of a segment are told of together: each stays where it is, so that one that comes or goes changes one telling. */
export class Shards {
  readonly #shards: Set<string>[] = [];
  readonly #of = new Map<string, number>();

  get numbers(): number[] {
    return [...this.#shards.keys()];
  }

  ids(shard: number): string[] {
    return [...(this.#shards[shard] ?? [])];
  }

  has(id: string): boolean {
    return this.#of.has(id);
  }

  /** Answers in which it is. */
  add(id: string): number {
    const known = this.#of.get(id);
    if (known !== undefined) return known;
    const free = this.#shards.findIndex((ids) => ids.size < membersPerEndpoint);
    const shard = free < 0 ? this.#shards.push(new Set()) - 1 : free;
    this.#shards[shard]?.add(id);
    this.#of.set(id, shard);
    return shard;
  }

  /** Answers in which it was. */
  remove(id: string): number | undefined {
    const shard = this.#of.get(id);
    if (shard === undefined) return undefined;
    this.#shards[shard]?.delete(id);
    this.#of.delete(id);
    return shard;
  }
}
