import type { Clock } from "../core/clock.js";
import { isAway } from "../core/error.js";
import { timeLimit } from "./signals.js";

/** How long one may take while there are others: one that is frozen must not use up the caller's patience. */
const patienceMs = 3_000;

/** Programs of which any will do. The one that answered last is asked; where that is away, the next, and each once. */
export class Turns<T> {
  readonly #ones: readonly [T, ...T[]];
  readonly #clock: Clock;
  #current: T;

  constructor(ones: readonly [T, ...T[]], clock: Clock) {
    this.#ones = ones;
    this.#clock = clock;
    this.#current = ones[0];
  }

  /** Whom to ask now. */
  get current(): T {
    return this.#current;
  }

  /** That one is away. */
  leave(one: T): void {
    if (this.#current === one) this.#current = this.#ones[(this.#ones.indexOf(one) + 1) % this.#ones.length] ?? one;
  }

  /** How long one has that is not the last to be asked. Dispose it when done. */
  limit(signal: AbortSignal): { readonly signal: AbortSignal } & Disposable {
    return timeLimit(this.#clock, patienceMs, signal);
  }

  async ask<A>(signal: AbortSignal, task: (one: T, signal: AbortSignal) => Promise<A>): Promise<A> {
    for (let left = this.#ones.length - 1; ; left--) {
      const one = this.#current;
      if (left === 0) return await task(one, signal);
      using limit = this.limit(signal);
      try {
        return await task(one, limit.signal);
      } catch (error) {
        if (signal.aborted || !isAway(error)) throw error;
        this.leave(one);
      }
    }
  }
}
