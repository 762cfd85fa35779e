import type { Clock } from "../core/clock.js";

export interface RoundsParts {
  readonly clock: Clock;
  /** All that is to be looked at in a round that begins. */
  readonly devices: () => readonly string[];
  /** A round begins: the first is number 1. */
  readonly begin: (round: number) => void;
  readonly look: (devices: readonly string[]) => void;
}

/** Everything is looked at once in so long, so that what was deleted by hand is back in 30 s. */
export const roundMs = 20_000;
/** Devices that are looked at in one go: 5 ms, for which a request may have to wait. */
const sliceSize = 8;

/** Goes over all devices again and again, a few at a time, evenly over the time of a round. */
export class Rounds implements Disposable {
  readonly #parts: RoundsParts;
  #round = 0;
  #left: string[] = [];
  #pauseMs = roundMs;
  #timer: Disposable | undefined;

  constructor(parts: RoundsParts) {
    this.#parts = parts;
  }

  /** The first round comes after the time of one. */
  start(): void {
    this.#timer = this.#parts.clock.after(this.#pauseMs, () => {
      if (this.#left.length === 0) this.#begin();
      const slice = this.#left.splice(0, sliceSize);
      if (slice.length > 0) this.#parts.look(slice);
      this.start();
    });
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
  }

  #begin(): void {
    this.#parts.begin(++this.#round);
    // By name, so that a device has about the same place in each round, whatever comes and goes meanwhile.
    this.#left = [...this.#parts.devices()].sort();
    this.#pauseMs = roundMs / Math.max(1, Math.ceil(this.#left.length / sliceSize));
  }
}
