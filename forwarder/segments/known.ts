import { Segment } from "../../api/gen/isthmus/v1/segment.js";
import type { Clock } from "../../core/clock.js";
import { asMeshError } from "../../core/error.js";
import type { Log } from "../../core/log.js";
import { pausesUntil } from "../../core/pauses.js";
import type { StateStore } from "../../program/state.js";
import type { SegmentFeedApi } from "../../rpc/segmentApi.js";
import { onAbort, timeLimit } from "../../rpc/signals.js";

export interface KnownSegmentsParts {
  readonly feed: SegmentFeedApi;
  readonly store: StateStore;
  readonly clock: Clock;
  readonly log: Log;
}

const key = "segments";
/** For the first word: whoever asks for some other service does not wait longer for one that is silent. */
const patienceMs = 1_000;

/** The segments of the site, as its registry told last; kept on disk for when that is away. */
export class KnownSegments implements AsyncDisposable {
  readonly #parts: KnownSegmentsParts;
  readonly #listeners = new Set<() => void>();
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #segments: ReadonlyMap<string, Segment> = new Map();
  #heard: () => void = () => {};
  readonly #first: Promise<void>;
  #isHeard = false;

  constructor(parts: KnownSegmentsParts) {
    this.#parts = parts;
    this.#first = new Promise((resolve) => {
      this.#heard = resolve;
    });
    this.#set((parts.store.get<unknown[]>(key) ?? []).map((segment) => Segment.fromJSON(segment)));
    this.#running = this.#follow();
  }

  /** As last heard; undefined for one that there is not. */
  named(name: string): Segment | undefined {
    return this.#segments.get(name);
  }

  /** The same; a program that has just started waits a moment for the first word. */
  async find(name: string, signal: AbortSignal): Promise<Segment | undefined> {
    const known = this.named(name);
    if (known !== undefined || this.#isHeard) return known;
    using limit = timeLimit(this.#parts.clock, patienceMs, signal);
    await Promise.race([this.#first, new Promise<void>((resolve) => void onAbort(limit.signal, resolve))]);
    return this.named(name);
  }

  /** Hears that something has changed. */
  listen(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #follow(): Promise<void> {
    const { feed, clock, log } = this.#parts;
    const { signal } = this.#stop;
    for await (const pauses of pausesUntil(signal, clock)) {
      try {
        for await (const segments of feed.watch(signal)) {
          pauses.reset();
          await this.#take(segments);
        }
      } catch (error) {
        if (!signal.aborted) log.debug("segments not heard", { reason: asMeshError(error).message });
      }
    }
  }

  async #take(segments: readonly Segment[]): Promise<void> {
    this.#set(segments);
    this.#isHeard = true;
    this.#heard();
    await this.#parts.store.put(
      key,
      segments.map((segment) => Segment.toJSON(segment)),
    );
    for (const listener of this.#listeners) listener();
  }

  #set(segments: readonly Segment[]): void {
    this.#segments = new Map(segments.map((segment) => [segment.name, segment]));
  }
}
