import type { Clock } from "../core/clock.js";

/** A program has some for each of its connections: an object with a function of its own would take four times the memory. */
class Timer implements Disposable {
  readonly #timer: NodeJS.Timeout;

  constructor(ms: number, task: () => void) {
    this.#timer = setTimeout(task, Math.max(0, ms));
    this.#timer.unref();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}

/** The machine's time: the only place that asks for it. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after: (ms, task) => new Timer(ms, task),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const timer = setTimeout(done, Math.max(0, ms));
      signal.addEventListener("abort", aborted, { once: true });
      function done() {
        signal.removeEventListener("abort", aborted);
        resolve();
      }
      function aborted() {
        clearTimeout(timer);
        reject(signal.reason);
      }
    }),
};
