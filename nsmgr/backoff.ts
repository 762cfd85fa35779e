import type { Clock } from "../core/clock.js";

/** Waits 100 ms, then twice as long each time up to 2 s, with jitter, so that many who wait do not come at once. */
export class Backoff {
  readonly #clock: Clock;
  readonly #random: () => number;
  #ms = 100;

  constructor(parts: { readonly clock: Clock; readonly random: () => number }) {
    this.#clock = parts.clock;
    this.#random = parts.random;
  }

  /** Rejects with the signal's reason. */
  async wait(signal: AbortSignal): Promise<void> {
    const ms = this.#ms * (0.75 + this.#random() / 2);
    this.#ms = Math.min(this.#ms * 2, 2_000);
    await this.#clock.sleep(ms, signal);
  }
}
