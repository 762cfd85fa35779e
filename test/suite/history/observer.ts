import { MeshError } from "../../../core/error.js";
import { Compacted, type Entry, type Listing, type Revision, type Store } from "../../../registry/store.js";
import { until } from "../../lib/until.js";

/** One change as a watch told it; `value` undefined is a delete. */
export interface Seen {
  readonly revision: Revision;
  readonly key: string;
  readonly value: string | undefined;
  /** When it was told, milliseconds. */
  readonly at: number;
}

/** What one watch told from a listing on, without a gap. */
export interface Segment {
  readonly start: { readonly revision: Revision; readonly entries: ReadonlyMap<string, string> };
  readonly seen: Seen[];
}

/** Watches a store as a registry does: resumes when the store was away, lists again when the history is gone. */
export class Observer implements AsyncDisposable {
  readonly segments: Segment[] = [];
  readonly #stop = new AbortController();
  readonly #store: () => Store;
  readonly #pause: () => Promise<void>;
  readonly #done: Promise<void>;
  #position: Revision = 0;

  /** `pause` is waited for after each batch, to make a slow reader. */
  constructor(store: () => Store, pause: () => Promise<void> = async () => {}) {
    this.#store = store;
    this.#pause = pause;
    this.#done = this.#run();
  }

  /** Resolves when it has told everything up to `revision`. */
  reached(revision: Revision, withinMs: number): Promise<boolean> {
    return until(`a watch at ${this.#position} reaches revision ${revision}`, withinMs, () => this.#position >= revision);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        if (this.segments.length === 0) this.#begin(await this.#store().list(""));
        await this.#read();
      } catch (error) {
        if (error instanceof Compacted) await this.#again();
        else if (!isUnreachable(error)) throw error;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }

  async #read(): Promise<void> {
    for await (const { changes, revision } of this.#store().watch("", { after: this.#position, signal: this.#stop.signal })) {
      const at = performance.now();
      for (const change of changes)
        this.segments
          .at(-1)
          ?.seen.push(
            change.type === "put"
              ? { revision: change.entry.revision, key: change.entry.key, value: textOf(change.entry), at }
              : { revision: change.revision, key: change.key, value: undefined, at },
          );
      this.#position = revision;
      await this.#pause();
    }
  }

  async #again(): Promise<void> {
    try {
      this.#begin(await this.#store().list(""));
    } catch (error) {
      if (!isUnreachable(error)) throw error;
    }
  }

  #begin({ entries, revision }: Listing): void {
    this.segments.push({ start: { revision, entries: new Map(entries.map((entry) => [entry.key, textOf(entry)])) }, seen: [] });
    this.#position = revision;
  }
}

export function textOf({ value }: Pick<Entry, "value">): string {
  return Buffer.from(value).toString();
}

export function isUnreachable(error: unknown): boolean {
  return error instanceof MeshError && error.code === "unreachable";
}
