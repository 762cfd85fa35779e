import { MeshError } from "../core/error.js";
import { type Batch, type Change, Compacted, type Revision } from "./store.js";

/**
 * The last changes of a store that lives in this process, shared by all who watch it. A watcher is a position in it and holds nothing,
 * so one that stands still costs nothing, and is told `Compacted` once the history has moved past it.
 */
export class History {
  readonly #limit: number;
  /** One list of changes for each revision after #oldest. */
  #kept: (readonly Change[])[] = [];
  #oldest: Revision;
  #changes = 0;
  readonly #waiting = new Set<() => void>();
  #closed = false;

  /** `from` is the store's revision now; the last `limit` changes are kept, and up to as many more. */
  constructor(from: Revision, limit: number) {
    this.#oldest = from;
    this.#limit = limit;
  }

  /** Everything up to here has been told. */
  get revision(): Revision {
    return this.#oldest + this.#kept.length;
  }

  /** Tells the changes of the revision after `revision`. */
  append(changes: readonly Change[]): void {
    this.#kept.push(changes);
    this.#changes += changes.length;
    // Forgetting half at once makes the cost of it small per change.
    if (this.#changes > 2 * this.#limit) this.#forget();
    this.#wake();
  }

  /** Every watch from now on fails: the store is closed. */
  close(): void {
    this.#closed = true;
    this.#wake();
  }

  async *watch(prefix: string, after: Revision, signal: AbortSignal): AsyncGenerator<Batch> {
    let position = after;
    while (!signal.aborted) {
      if (this.#closed) throw new MeshError("unreachable", "the store was closed while it was watched");
      if (position < this.#oldest) throw new Compacted(position, this.#oldest);
      const batch = this.#since(position, prefix);
      if (batch.changes.length > 0) yield batch;
      // Changes may have come while the reader held the batch; only the position that was read counts.
      position = Math.max(position, batch.revision);
      if (position >= this.revision && !this.#closed) await this.#news(signal);
    }
  }

  #forget(): void {
    let dropped = 0;
    while (this.#changes > this.#limit && dropped < this.#kept.length - 1) this.#changes -= this.#kept[dropped++]?.length ?? 0;
    this.#kept = this.#kept.slice(dropped);
    this.#oldest += dropped;
  }

  #since(position: Revision, prefix: string): Batch {
    const changes: Change[] = [];
    for (const made of this.#kept.slice(position - this.#oldest))
      for (const change of made) if (keyOf(change).startsWith(prefix)) changes.push(change);
    return { changes, revision: this.revision };
  }

  #news(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#waiting.delete(done);
        signal.removeEventListener("abort", done);
        resolve();
      };
      if (signal.aborted) return resolve();
      this.#waiting.add(done);
      signal.addEventListener("abort", done, { once: true });
    });
  }

  #wake(): void {
    for (const done of [...this.#waiting]) done();
  }
}

function keyOf(change: Change): string {
  return change.type === "put" ? change.entry.key : change.key;
}
