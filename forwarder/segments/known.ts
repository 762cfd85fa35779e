import { Segment } from "../../api/gen/isthmus/v1/segment.js";
import { background } from "../../core/background.js";
import type { Clock } from "../../core/clock.js";
import type { Log } from "../../core/log.js";
import { type Heard, retold } from "../../core/segment/moment.js";
import type { StateStore } from "../../program/state.js";
import type { SegmentSource } from "../../rpc/segmentApi.js";
import { onAbort, timeLimit } from "../../rpc/signals.js";

export interface KnownSegmentsParts {
  /** What this node's nsmgr tells. */
  readonly told: SegmentSource;
  readonly store: StateStore;
  readonly clock: Clock;
  readonly log: Log;
}

const key = "segments";
const heardKey = "segments-heard";
/** For the first word after a start: an nsmgr that is not one of ours never says it. */
const patienceMs = 1_000;

/** The segments of the site, as its registry told last; kept on disk for when that is away. */
export class KnownSegments implements Disposable {
  readonly #parts: KnownSegmentsParts;
  readonly #listening: Disposable;
  readonly #listeners = new Set<() => void>();
  readonly #patientUntil: number;
  #segments: ReadonlyMap<string, Segment>;

  constructor(parts: KnownSegmentsParts) {
    this.#parts = parts;
    this.#patientUntil = parts.clock.monotonic() + patienceMs;
    this.#segments = byName((parts.store.get<unknown[]>(key) ?? []).map((segment) => Segment.fromJSON(segment)));
    this.#listening = parts.told.listen(() => this.#take());
    this.#take();
  }

  /** Whether this run has heard of them. */
  get isTold(): boolean {
    return this.#parts.told.current !== undefined;
  }

  /** As last heard; undefined for one that there is not. */
  named(name: string): Segment | undefined {
    return this.#segments.get(name);
  }

  /** The same; a program that has just started waits a moment for the first word. */
  async find(name: string, signal: AbortSignal): Promise<Segment | undefined> {
    const known = this.named(name);
    const left = this.#patientUntil - this.#parts.clock.monotonic();
    if (known !== undefined || this.#parts.told.current !== undefined || left <= 0) return known;
    using limit = timeLimit(this.#parts.clock, left, signal);
    await new Promise<void>((resolve) => {
      const heard = this.listen(resolve);
      onAbort(limit.signal, () => {
        heard[Symbol.dispose]();
        resolve();
      });
    });
    return this.named(name);
  }

  /** Hears that something has changed. */
  listen(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  [Symbol.dispose](): void {
    this.#listening[Symbol.dispose]();
  }

  #take(): void {
    const { told, store, log } = this.#parts;
    const { current } = told;
    if (current === undefined) return;
    const before = store.get<Heard>(heardKey);
    const fresh = byName(current);
    const { ended, heard } = retold([...this.#segments.keys()], new Set(fresh.keys()), told.moment, before);
    const segments = new Map([...this.#segments, ...fresh]);
    for (const name of ended) segments.delete(name);
    this.#segments = segments;
    const lost = heard.held.filter((name) => !before?.held.includes(name));
    if (lost.length > 0) log.warn("segments kept that the registry has forgotten", { segments: lost });
    background(log, "keeping the segments", this.#keep(heard));
    for (const listener of [...this.#listeners]) listener();
  }

  async #keep(heard: Heard): Promise<void> {
    const { store } = this.#parts;
    const segments = [...this.#segments.values()].map((segment) => Segment.toJSON(segment));
    await Promise.all([store.put(heardKey, heard), store.put(key, segments)]);
  }
}

function byName(segments: readonly Segment[]): Map<string, Segment> {
  return new Map(segments.map((segment) => [segment.name, segment]));
}
