import type { Clock } from "../../core/clock.js";
import { RecentMap } from "../../core/recentMap.js";

interface Bucket {
  left: number;
  /** Monotonic milliseconds at which that was so. */
  at: number;
}

/** Clients that are remembered; who is forgotten has its whole second again. */
const remembered = 8_192;

/** How often something may happen: for each client, and for all together, so many times in a second. */
export class Rates {
  readonly #each: number;
  readonly #all: number;
  readonly #clock: Clock;
  readonly #buckets = new RecentMap<string, Bucket>(remembered);
  readonly #together: Bucket;

  constructor(parts: { readonly each: number; readonly all: number; readonly clock: Clock }) {
    this.#each = parts.each;
    this.#all = parts.all;
    this.#clock = parts.clock;
    this.#together = { left: parts.all, at: parts.clock.monotonic() };
  }

  /** Whether it may happen once more now; if so, it counts. */
  take(client: string): boolean {
    const now = this.#clock.monotonic();
    const bucket = this.#buckets.get(client) ?? { left: this.#each, at: now };
    this.#buckets.set(client, bucket);
    fill(bucket, this.#each, now);
    if (bucket.left < 1) return false;
    fill(this.#together, this.#all, now);
    if (this.#together.left < 1) return false;
    bucket.left--;
    this.#together.left--;
    return true;
  }
}

function fill(bucket: Bucket, perSecond: number, now: number): void {
  bucket.left = Math.min(perSecond, bucket.left + ((now - bucket.at) * perSecond) / 1000);
  bucket.at = now;
}
