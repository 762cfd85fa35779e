import { createHash } from "node:crypto";
import type { Membership } from "../../core/segment/membership.js";
import type { StateStore } from "../../program/state.js";

/** What others say of a segment, by the names of their endpoints. */
export type Words = ReadonlyMap<string, Membership>;

/** As it is kept: JSON. */
interface Kept {
  readonly name: string;
  readonly membership: Membership;
}

/** What others said of a segment last, on disk: each endpoint by itself, so that one that changes writes no other. */
export class Remembered {
  readonly #store: StateStore;
  readonly #prefix: string;
  #words: Words;

  constructor(store: StateStore, segment: string) {
    this.#store = store;
    this.#prefix = `segment-nodes/${segment}/`;
    this.#words = new Map([...store.entries<Kept>(this.#prefix)].map(([, { name, membership }]) => [name, membership]));
  }

  get words(): Words {
    return this.#words;
  }

  /** Resolves when these are on disk, and no others. */
  async keep(words: Words): Promise<void> {
    const before = this.#words;
    this.#words = new Map(words);
    const gone = [...before.keys()].filter((name) => !words.has(name));
    const changed = [...words].filter(([name, membership]) => before.get(name) !== membership);
    await Promise.all([
      ...gone.map((name) => this.#store.remove(this.#key(name))),
      ...changed.map(([name, membership]) => this.#store.put(this.#key(name), { name, membership } satisfies Kept)),
    ]);
  }

  /** Others' names may be longer than a key. */
  #key(name: string): string {
    return this.#prefix + createHash("sha256").update(name).digest("hex");
  }
}
