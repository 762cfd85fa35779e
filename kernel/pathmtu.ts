import type { Clock } from "../core/clock.js";
import { type EchoEnds, EchoSocket } from "./echo.js";
import type { Netns } from "./model.js";
import { type Outside, pathMtu, unfragmented } from "./unfragmented.js";

/** What to look for, in bytes of the inner IP packet, headers included. */
export interface PathMtuOptions extends EchoEnds {
  /** The largest that may be used: what the path should carry. Asked first. */
  readonly expected: number;
  /** The smallest that is of use; 1280 unless told. */
  readonly lowest?: number | undefined;
  /** How long to wait for the first answer; 1 s unless told. */
  readonly timeoutMs?: number | undefined;
  /** Where the tunnel's own packets go: then what is found also goes whole outside of the tunnel, in one packet. */
  readonly outside?: Outside | undefined;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

// Sizes asked at a time: three rounds find any size within 700 bytes.
const sizesPerRound = 8;
// A busy machine answers late, and a size whose answer was missed is one that is not used.
const shortestGraceMs = 50;

/**
 * The largest inner packet that gets through a tunnel, between two addresses in it, by echo requests that may not be fragmented.
 * Needs no ICMP error to come back, so it works where they are filtered: what is too large is what is not answered. One round trip
 * where the expected size gets through. Undefined: not even the lowest was answered.
 */
export async function probePathMtu(where: string | Netns, options: PathMtuOptions): Promise<number | undefined> {
  const { outside, expected, lowest = 1280 } = options;
  if (outside === undefined) return await search(where, options);
  const most = () => Math.max(lowest, Math.min(expected, room(outside)));
  const found = await unfragmented(outside, () => search(where, { ...options, expected: most() }));
  if (found === undefined || found <= most()) return found;
  // A router answered: from now on the node itself cuts what is too large, so it is asked again below that.
  return await unfragmented(outside, () => search(where, { ...options, expected: most() }));
}

/** What the way leaves for the inner packet, as far as the node knows it. */
function room(outside: Outside): number {
  return pathMtu(outside) - (outside.remote.includes(":") ? 80 : 60);
}

async function search(where: string | Netns, options: PathMtuOptions): Promise<number | undefined> {
  const { expected, lowest = 1280, timeoutMs = 1_000 } = options;
  using asker = new Asker(where, options);
  const first = await asker.ask([lowest, expected], timeoutMs);
  if (!first.has(lowest) && !first.has(expected)) return undefined;
  let [good, bad] = first.has(expected) ? [expected, expected + 1] : [lowest, expected];
  while (bad - good > 1) {
    const sizes = between(good, bad);
    const answered = await asker.ask(sizes);
    good = Math.max(good, ...answered);
    bad = Math.min(bad, ...sizes.filter((size) => size > good));
  }
  return good;
}

/** At most `sizesPerRound` sizes that cut the open range evenly. */
export function between(good: number, bad: number): number[] {
  const parts = Math.min(sizesPerRound, bad - good - 1);
  return Array.from({ length: parts }, (_, n) => good + Math.round(((n + 1) * (bad - good)) / (parts + 1)));
}

/** Asks several sizes at once and tells which were answered. */
class Asker implements Disposable {
  readonly #socket: EchoSocket;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  /** By sequence number. */
  readonly #sizes: number[] = [];
  #answered: (size: number) => void = () => {};
  #roundTripMs: number | undefined;

  constructor(where: string | Netns, options: PathMtuOptions) {
    this.#socket = new EchoSocket(where, { ...options, dontFragment: true });
    this.#clock = options.clock;
    this.#signal = options.signal;
    this.#socket.listen((sequence) => this.#answered(this.#sizes[sequence] ?? 0));
  }

  /**
   * Which of the sizes, in rising order, were answered. Over with the answer to the largest, or a few round trips after the first
   * answer ever, or after `patienceMs`. Everything is asked twice, so that one lost packet decides nothing.
   */
  async ask(sizes: readonly number[], patienceMs: number = this.#grace()): Promise<Set<number>> {
    const answered = new Set<number>();
    const over = new AbortController();
    const start = this.#clock.monotonic();
    const timers = [this.#clock.after(patienceMs / 2, () => this.#send(sizes)), this.#clock.after(patienceMs, () => over.abort())];
    this.#answered = (size) => {
      answered.add(size);
      if (size === sizes.at(-1)) over.abort();
      if (this.#roundTripMs !== undefined) return;
      this.#roundTripMs = this.#clock.monotonic() - start;
      timers.push(this.#clock.after(this.#grace(), () => over.abort()));
    };
    this.#send(sizes);
    try {
      await either(over.signal, this.#signal);
      return answered;
    } finally {
      for (const timer of timers) timer[Symbol.dispose]();
    }
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }

  #grace(): number {
    return Math.max(shortestGraceMs, 3 * (this.#roundTripMs ?? 0));
  }

  #send(sizes: readonly number[]): void {
    for (const size of sizes) this.#socket.send(this.#sizes.push(size) - 1, size);
  }
}

/** Resolves when the first ends, rejects with the reason of the second. */
function either(over: AbortSignal, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const aborted = (): void => reject(signal.reason);
    signal.addEventListener("abort", aborted, { once: true });
    const ended = (): void => {
      signal.removeEventListener("abort", aborted);
      resolve();
    };
    if (over.aborted) ended();
    else over.addEventListener("abort", ended, { once: true });
  });
}
