import type { Clock } from "../core/clock.js";

/** Node's timers cannot wait longer than 24.8 days; waking up once a day for nothing costs nothing. */
const longestWait = 86_400_000;

/** Many deadlines behind one timer: things that end in the same `resolutionMs` end together, never early. */
export class Deadlines implements Disposable {
  readonly #clock: Clock;
  readonly #resolutionMs: number;
  readonly #due: (ids: readonly string[]) => void;
  /** By tick, the moment in units of the resolution. */
  readonly #buckets = new Map<number, Set<string>>();
  readonly #tickOf = new Map<string, number>();
  /** The ticks that have a bucket, latest first. */
  readonly #ticks: number[] = [];
  #timer: Disposable | undefined;

  constructor(parts: { readonly clock: Clock; readonly resolutionMs: number; readonly due: (ids: readonly string[]) => void }) {
    this.#clock = parts.clock;
    this.#resolutionMs = parts.resolutionMs;
    this.#due = parts.due;
  }

  get size(): number {
    return this.#tickOf.size;
  }

  /** Ends `id` in `ms` from now, and not when it was to end before. */
  set(id: string, ms: number): void {
    this.delete(id);
    const tick = Math.ceil((this.#clock.monotonic() + Math.max(0, ms)) / this.#resolutionMs);
    this.#tickOf.set(id, tick);
    const bucket = this.#buckets.get(tick);
    if (bucket !== undefined) bucket.add(id);
    else this.#open(tick, id);
  }

  delete(id: string): void {
    const tick = this.#tickOf.get(id);
    if (tick === undefined) return;
    this.#tickOf.delete(id);
    // An empty bucket stays until its time: removing it would cost a search, firing it costs nothing.
    this.#buckets.get(tick)?.delete(id);
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#buckets.clear();
    this.#tickOf.clear();
    this.#ticks.length = 0;
  }

  #open(tick: number, id: string): void {
    this.#buckets.set(tick, new Set([id]));
    const at = placeOf(this.#ticks, tick);
    this.#ticks.splice(at, 0, tick);
    if (at === this.#ticks.length - 1) this.#arm();
  }

  #arm(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    const next = this.#ticks.at(-1);
    if (next === undefined) return;
    const wait = next * this.#resolutionMs - this.#clock.monotonic();
    this.#timer = this.#clock.after(Math.min(Math.max(0, wait), longestWait), () => this.#fire());
  }

  #fire(): void {
    const now = this.#clock.monotonic();
    const ids: string[] = [];
    for (let tick = this.#ticks.at(-1); tick !== undefined && tick * this.#resolutionMs <= now; tick = this.#ticks.at(-1)) {
      this.#ticks.pop();
      for (const id of this.#buckets.get(tick) ?? []) {
        this.#tickOf.delete(id);
        ids.push(id);
      }
      this.#buckets.delete(tick);
    }
    this.#arm();
    if (ids.length > 0) this.#due(ids);
  }
}

/** Where `tick` belongs in `ticks`, which run from late to early. */
function placeOf(ticks: readonly number[], tick: number): number {
  let low = 0;
  let high = ticks.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ticks[middle] ?? 0) > tick) low = middle + 1;
    else high = middle;
  }
  return low;
}
