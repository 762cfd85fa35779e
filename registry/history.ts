import { MeshError } from "../core/error.js";
import { type Batch, type Change, Compacted, type Revision } from "./store.js";

/** How much is remembered; up to as much again, until half is forgotten. */
export interface HistoryLimits {
  readonly changes: number;
  /** Of their keys and values. */
  readonly bytes: number;
}

/**
 * The last changes of a store that lives in this process, shared by all who watch it. A watcher is a position in it and holds nothing,
 * so one that stands still costs nothing, and is told `Compacted` once the history has moved past it.
 */
export class History {
  readonly #limits: HistoryLimits;
  /** One list of changes for each revision after #oldest. */
  #kept: (readonly Change[])[] = [];
  #oldest: Revision;
  #size: HistoryLimits = { changes: 0, bytes: 0 };
  readonly #waiting = new Set<() => void>();
  #closed = false;

  /** `from` is the store's revision now. */
  constructor(from: Revision, limits: HistoryLimits) {
    this.#oldest = from;
    this.#limits = limits;
  }

  /** Everything up to here has been told. */
  get revision(): Revision {
    return this.#oldest + this.#kept.length;
  }

  /** Tells the changes of the revision after `revision`. */
  append(changes: readonly Change[]): void {
    this.#kept.push(changes);
    this.#add(changes, 1);
    // Forgetting half at once makes the cost of it small per change.
    if (this.#exceeds(2)) this.#forget();
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
    while (this.#exceeds(1) && dropped < this.#kept.length - 1) this.#add(this.#kept[dropped++] ?? [], -1);
    this.#kept = this.#kept.slice(dropped);
    this.#oldest += dropped;
  }

  #add(made: readonly Change[], sign: 1 | -1): void {
    const bytes = made.reduce((sum, change) => sum + sizeOf(change), 0);
    this.#size = { changes: this.#size.changes + sign * made.length, bytes: this.#size.bytes + sign * bytes };
  }

  #exceeds(times: number): boolean {
    return this.#size.changes > times * this.#limits.changes || this.#size.bytes > times * this.#limits.bytes;
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

function sizeOf(change: Change): number {
  return change.type === "put" ? change.entry.key.length + change.entry.value.length : change.key.length;
}
