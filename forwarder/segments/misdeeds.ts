import { background } from "../../core/background.js";
import type { Clock } from "../../core/clock.js";
import type { Log } from "../../core/log.js";
import type { MemberCounters } from "./local.js";

export interface MisdeedsParts {
  /** What the kernel has counted of each member on this node. */
  readonly look: () => Promise<readonly MemberCounters[]>;
  readonly clock: Clock;
  readonly log: Log;
}

const everyMs = 10_000;
const words = {
  flooded: "member sends too much broadcast and multicast, the rest is dropped; is there a loop behind it?",
  spoofed: "member sends with addresses that are not its own, which is dropped",
} as const;

/** Says in the log which members send what is dropped, as long as they do. */
export class Misdeeds implements Disposable {
  readonly #parts: MisdeedsParts;
  /** As counted at the last look, by member and kind. */
  #seen = new Map<string, number>();
  #timer: Disposable | undefined;

  constructor(parts: MisdeedsParts) {
    this.#parts = parts;
    this.#arm();
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
  }

  #arm(): void {
    const { clock, log } = this.#parts;
    this.#timer = clock.after(everyMs, () => {
      const looking = this.#look().finally(() => {
        if (this.#timer !== undefined) this.#arm();
      });
      background(log, "looking at what members send", looking);
    });
  }

  async #look(): Promise<void> {
    const seen = new Map<string, number>();
    for (const { segment, name, id, counters } of await this.#parts.look())
      for (const kind of ["flooded", "spoofed"] as const) {
        const count = counters[kind] ?? 0;
        const key = `${id} ${kind}`;
        const fresh = count - (this.#seen.get(key) ?? 0);
        if (count > 0) seen.set(key, count);
        if (fresh > 0) this.#parts.log.warn(words[kind], { segment, member: name, connection: id, dropped: fresh });
      }
    this.#seen = seen;
  }
}
