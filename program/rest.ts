import { performance } from "node:perf_hooks";
import v8 from "node:v8";
import type { Clock } from "../core/clock.js";

export interface RestParts {
  readonly clock: Clock;
  /** For how many milliseconds the event loop has been at work since the start. */
  readonly worked: () => number;
  /** Whether memory is to count for more than time. */
  readonly save: (on: boolean) => void;
}

const lookMs = 5_000;
/** A program works for less than this part of the time when nobody asks for anything. */
const restingShare = 0.2;

/**
 * Lets memory count for more than time while a program is at rest. After busier times it would stay as large as it was: V8 gives back what
 * is free only where hardly any garbage is made, and a forwarder looks after its connections all the time.
 */
export class Rest implements Disposable {
  readonly #parts: RestParts;
  #timer: Disposable | undefined;
  #worked: number;
  #saving = false;

  constructor(parts: RestParts) {
    this.#parts = parts;
    this.#worked = parts.worked();
    this.#arm();
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
  }

  #arm(): void {
    this.#timer = this.#parts.clock.after(lookMs, () => {
      this.#look();
      this.#arm();
    });
  }

  #look(): void {
    const worked = this.#parts.worked();
    const saving = worked - this.#worked < restingShare * lookMs;
    this.#worked = worked;
    if (saving !== this.#saving) this.#parts.save(saving);
    this.#saving = saving;
  }
}

/** For this process. */
export function restOf(clock: Clock): Rest {
  return new Rest({
    clock,
    worked: () => performance.eventLoopUtilization().active,
    // While it is on, V8 follows up each collection of its own, 8 s later, with one in small steps that packs what is left and lets go of
    // the rest. On the command line it would also bind the space for fresh objects to 1 MB, and a request would pay for that.
    save: (on) => v8.setFlagsFromString(on ? "--optimize-for-size" : "--no-optimize-for-size"),
  });
}
