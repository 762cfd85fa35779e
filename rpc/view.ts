import type { Clock } from "../core/clock.js";
import { asMeshError } from "../core/error.js";
import type { Log } from "../core/log.js";
import type { Registry } from "./registry.js";
import { linked } from "./signals.js";

const firstBackOffMs = 200;
const lastBackOffMs = 2_000;

export interface ViewParts<T> {
  readonly registry: Registry<T>;
  readonly query: T;
  readonly nameOf: (value: T) => string;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * What one query matches, by name, kept current by one watch.
 *
 * A watch alone never says "that was all", so each opening also lists. The watch is opened first and its word counts for more
 * than the list's, which was made at some moment after that; what neither names any more is forgotten.
 */
export class View<T> implements Disposable {
  readonly #parts: ViewParts<T>;
  readonly #known = new Map<string, T>();
  readonly #stop = new AbortController();
  /** Resolves when the first list is there, rejects when that could not be had; then the view has stopped. */
  readonly first: Promise<void>;

  constructor(parts: ViewParts<T>) {
    this.#parts = parts;
    this.first = this.#run();
    // Whoever looks something up hears of it; nobody may be looking any more.
    this.first.catch(() => {});
  }

  get values(): Iterable<T> {
    return this.#known.values();
  }

  get(name: string): T | undefined {
    return this.#known.get(name);
  }

  /** Asks the registry itself, past everything known. Rejects with what it answers. */
  async ask(signal: AbortSignal): Promise<T[]> {
    return await list(this.#parts.registry, this.#parts.query, signal);
  }

  [Symbol.dispose](): void {
    this.#stop.abort();
  }

  async #run(): Promise<void> {
    const opening = this.#open();
    await opening.listed;
    void this.#keep(opening.ended);
  }

  /** Opens again whenever it ends, after a pause that grows. */
  async #keep(first: Promise<unknown>): Promise<void> {
    const { clock, log } = this.#parts;
    let ended = first;
    let pause = firstBackOffMs;
    while (!this.#stop.signal.aborted) {
      const reason = await ended;
      log.debug("registry watch ended", { reason: asMeshError(reason ?? new Error("the peer ended it")).message, pause });
      await clock.sleep(pause, this.#stop.signal).catch(() => {});
      if (this.#stop.signal.aborted) return;
      const opening = this.#open();
      try {
        await opening.listed;
        ended = opening.ended;
        pause = firstBackOffMs;
      } catch (error) {
        ended = Promise.resolve(error);
        pause = Math.min(2 * pause, lastBackOffMs);
      }
    }
  }

  #open(): { readonly listed: Promise<void>; readonly ended: Promise<unknown> } {
    const attempt = linked(this.#stop.signal);
    // Names that the watch has spoken of; of interest only until the list is there.
    const told = new Set<string>();
    let listing = true;
    const tell = (name: string) => listing && told.add(name);
    const ended = this.#follow(tell, attempt.signal)
      .catch((error: unknown) => error)
      .finally(() => attempt[Symbol.dispose]());
    const listed = list(this.#parts.registry, this.#parts.query, attempt.signal).then(
      (values) => this.#merge(values, told),
      (error: unknown) => {
        attempt.abort();
        throw error;
      },
    );
    return {
      ended,
      listed: listed.finally(() => {
        listing = false;
        told.clear();
      }),
    };
  }

  #merge(listed: readonly T[], told: ReadonlySet<string>): void {
    const names = new Set(listed.map(this.#parts.nameOf));
    for (const value of listed) if (!told.has(this.#parts.nameOf(value))) this.#learn(value);
    for (const name of this.#known.keys()) if (!names.has(name) && !told.has(name)) this.#known.delete(name);
  }

  async #follow(tell: (name: string) => void, signal: AbortSignal): Promise<void> {
    const { registry, query, nameOf } = this.#parts;
    for await (const { value, deleted } of registry.find(query, { watch: true }, { signal })) {
      tell(nameOf(value));
      if (deleted) this.#known.delete(nameOf(value));
      else this.#learn(value);
    }
  }

  #learn(value: T): void {
    this.#known.set(this.#parts.nameOf(value), value);
  }
}

/** Everything that a query matches at this moment. */
export async function list<T>(registry: Registry<T>, query: T, signal: AbortSignal): Promise<T[]> {
  const values: T[] = [];
  for await (const { value, deleted } of registry.find(query, { watch: false }, { signal })) if (!deleted) values.push(value);
  // A stream whose signal ended is no complete answer.
  signal.throwIfAborted();
  return values;
}
