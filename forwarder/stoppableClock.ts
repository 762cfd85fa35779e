import type { Clock } from "../core/clock.js";

/** The clock of one run: at its end nothing that waits goes on, so that loops of elements that nobody can end do not keep the process. */
export class StoppableClock implements Clock, Disposable {
  readonly #clock: Clock;
  readonly #waiting = new Set<Disposable>();
  #stopped = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): number {
    return this.#clock.now();
  }

  monotonic(): number {
    return this.#clock.monotonic();
  }

  after(ms: number, task: () => void): Disposable {
    if (this.#stopped) return { [Symbol.dispose]: () => {} };
    const timer = this.#clock.after(ms, () => {
      this.#waiting.delete(timer);
      task();
    });
    this.#waiting.add(timer);
    return {
      [Symbol.dispose]: () => {
        this.#waiting.delete(timer);
        timer[Symbol.dispose]();
      },
    };
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

  [Symbol.dispose](): void {
    this.#stopped = true;
    for (const timer of this.#waiting) timer[Symbol.dispose]();
    this.#waiting.clear();
  }
}
