import type { Clock } from "../core/clock.js";
import { asMeshError } from "../core/error.js";
import type { Log } from "../core/log.js";
import { noSinks, type Sinks } from "../core/observed.js";
import type { Found } from "../rpc/registry.js";
import type { Kind } from "./kind.js";
import { Shown } from "./shown.js";
import { type Batch, type Change, Compacted, type Entry, type Revision, type Store } from "./store.js";

const shortestPauseMs = 100;
const longestPauseMs = 2_000;

export interface ViewParts<T> {
  readonly kind: Kind<T>;
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  readonly sinks?: Sinks | undefined;
}

/**
 * All things of one kind, in memory, as the store has them: a find never waits for the store. Several registries with one store
 * each have their own; what another one wrote is seen as soon as the store's watch tells it.
 */
export class View<T> implements AsyncDisposable {
  readonly #parts: ViewParts<T>;
  readonly #shown: Shown<T>;
  readonly #stop = new AbortController();
  readonly #waiting = new Set<{ readonly revision: Revision; readonly done: () => void }>();
  readonly #lag: (ms: number) => void;
  #revision: Revision = 0;
  #following: Promise<void> = Promise.resolve();

  private constructor(parts: ViewParts<T>) {
    this.#parts = parts;
    this.#shown = new Shown(parts.kind);
    const help = "How long after a commit of this registry its own watch of the store showed it";
    const lag = (parts.sinks ?? noSinks).meter.timer("isthmus_store_watch_lag_seconds", help, ["kind"]);
    this.#lag = (ms) => lag(ms / 1000, { kind: parts.kind.word });
  }

  /** Resolves when it shows all that the store has. */
  static async open<T>(parts: ViewParts<T>): Promise<View<T>> {
    const view = new View(parts);
    await view.#load();
    view.#following = view.#follow();
    return view;
  }

  get word(): string {
    return this.#parts.kind.word;
  }

  /** All up to here is shown. */
  get revision(): Revision {
    return this.#revision;
  }

  get size(): number {
    return this.#shown.size;
  }

  /** How many watch it. */
  get watched(): number {
    return this.#shown.watched;
  }

  get(name: string): T | undefined {
    return this.#shown.get(name);
  }

  find(query: T): T[] {
    return this.#shown.find(query);
  }

  /** What matches now, then every change, the latest of each name when the reader is slow. Ends with the signal, or with the view. */
  watch(query: T, signal: AbortSignal): AsyncIterable<Found<T>> {
    return this.#shown.watch(query, signal);
  }

  /** Resolves when the view shows what was committed at `revision`. */
  settled(revision: Revision, signal: AbortSignal): Promise<void> {
    if (revision <= this.#revision) {
      this.#lag(0);
      return Promise.resolve();
    }
    const start = this.#parts.clock.monotonic();
    return new Promise((resolve, reject) => {
      const end = () => {
        this.#waiting.delete(waiter);
        signal.removeEventListener("abort", gone);
      };
      const waiter = { revision, done: () => [end(), this.#lag(this.#parts.clock.monotonic() - start), resolve()] };
      const gone = () => [end(), reject(asMeshError(signal.reason))];
      if (signal.aborted) return gone();
      this.#waiting.add(waiter);
      signal.addEventListener("abort", gone, { once: true });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.#shown.close();
    await this.#following;
  }

  /** Also when the history was lost: then everything counts as changed. */
  async #load(): Promise<void> {
    const { entries, revision } = await this.#parts.store.list(this.#parts.kind.prefix);
    const gone = new Set(this.#shown.names());
    for (const entry of entries) {
      gone.delete(this.#nameOf(entry.key));
      this.#put(entry);
    }
    for (const name of gone) this.#delete(name);
    this.#reached(revision);
  }

  async #follow(): Promise<void> {
    const { store, kind, clock, log } = this.#parts;
    const signal = this.#stop.signal;
    let pause = shortestPauseMs;
    while (!signal.aborted) {
      try {
        for await (const batch of store.watch(kind.prefix, { after: this.#revision, signal })) {
          this.#apply(batch);
          pause = shortestPauseMs;
        }
      } catch (error) {
        log.warn("store watch lost", { kind: kind.word, after: this.#revision, error });
        if (error instanceof Compacted && (await this.#reloaded())) continue;
        await clock.sleep(pause, signal).catch(() => {});
        pause = Math.min(pause * 2, longestPauseMs);
      }
    }
  }

  async #reloaded(): Promise<boolean> {
    try {
      await this.#load();
      return true;
    } catch (error) {
      this.#parts.log.warn("store not listed", { kind: this.#parts.kind.word, error });
      return false;
    }
  }

  #apply({ changes, revision }: Batch): void {
    for (const change of changes) this.#change(change);
    this.#reached(revision);
  }

  #change(change: Change): void {
    if (change.type === "put") this.#put(change.entry);
    else this.#delete(this.#nameOf(change.key));
  }

  #put(entry: Entry): void {
    const { kind, log } = this.#parts;
    try {
      this.#shown.put(kind.decode(entry));
    } catch (error) {
      // One bad record must not hide all others, nor show what was there before it.
      log.error("record not readable", { key: entry.key, error });
      this.#delete(this.#nameOf(entry.key));
    }
  }

  #delete(name: string): void {
    if (this.#shown.delete(name)) this.#parts.log.info(`${this.#parts.kind.word} gone`, { name });
  }

  #reached(revision: Revision): void {
    this.#revision = Math.max(this.#revision, revision);
    for (const waiter of [...this.#waiting]) if (waiter.revision <= this.#revision) waiter.done();
  }

  #nameOf(key: string): string {
    return key.slice(this.#parts.kind.prefix.length);
  }
}
