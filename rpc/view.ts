import type { Clock } from "../core/clock.js";
import { asMeshError } from "../core/error.js";
import type { Log } from "../core/log.js";
import { type Kept, list, openWatch } from "./opening.js";
import type { Registry } from "./registry.js";

const firstBackOffMs = 200;
const lastBackOffMs = 2_000;

export interface ViewParts<T> {
  readonly registry: Registry<T>;
  readonly query: T;
  readonly nameOf: (value: T) => string;
  readonly clock: Clock;
  readonly log: Log;
}

/** What one query matches, by name, kept current by one watch. */
export class View<T> implements Disposable {
  readonly #parts: ViewParts<T>;
  readonly #known = new Map<string, T>();
  readonly #kept: Kept<T> = {
    learn: (value) => void this.#known.set(this.#parts.nameOf(value), value),
    forget: (name) => void this.#known.delete(name),
    names: () => this.#known.keys(),
  };
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
    return openWatch({ ...this.#parts, kept: this.#kept }, this.#stop.signal);
  }
}
