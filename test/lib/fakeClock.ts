import type { Clock } from "../../core/clock.js";

interface Timer {
  readonly at: number;
  readonly task: () => void;
}

/** Time that stands still until a test moves it. */
export class FakeClock implements Clock {
  #now: number;
  readonly #start: number;
  readonly #timers = new Set<Timer>();

  constructor(now = 1_700_000_000_000) {
    this.#now = now;
    this.#start = now;
  }

  /** Timers that wait; a test that ends with some has found a leak. */
  get pending(): number {
    return this.#timers.size;
  }

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#now - this.#start;
  }

  after(ms: number, task: () => void): Disposable {
    const timer = { at: this.#now + Math.max(0, ms), task };
    this.#timers.add(timer);
    return { [Symbol.dispose]: () => void this.#timers.delete(timer) };
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const timer = this.after(ms, () => {
        signal.removeEventListener("abort", aborted);
        resolve();
      });
      const aborted = () => {
        timer[Symbol.dispose]();
        reject(signal.reason);
      };
      signal.addEventListener("abort", aborted, { once: true });
    });
  }

  /** Moves time on, firing timers in order, each at its own moment, and lets what they woke run. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settle();
    for (let timer = this.#next(end); timer !== undefined; timer = this.#next(end)) {
      this.#timers.delete(timer);
      this.#now = Math.max(this.#now, timer.at);
      timer.task();
      await settle();
    }
    this.#now = end;
    await settle();
  }

  #next(end: number): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers) if (timer.at <= end && (first === undefined || timer.at < first.at)) first = timer;
    return first;
  }
}

/** A turn of the event loop runs every promise that is ready, and what those make ready. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
