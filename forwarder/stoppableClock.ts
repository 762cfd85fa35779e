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
    return new Timer(this.#waiting, this.#clock, ms, task);
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

/** Among those that wait until it is over. */
class Timer implements Disposable {
  readonly #waiting: Set<Disposable>;
  readonly #timer: Disposable;

  constructor(waiting: Set<Disposable>, clock: Clock, ms: number, task: () => void) {
    this.#waiting = waiting;
    this.#timer = clock.after(ms, () => {
      waiting.delete(this);
      task();
    });
    waiting.add(this);
  }

  [Symbol.dispose](): void {
    this.#waiting.delete(this);
    this.#timer[Symbol.dispose]();
  }
}
