import type { Clock } from "../core/clock.js";
import { asMeshError } from "../core/error.js";
import type { Log } from "../core/log.js";

export interface FollowingParts<T> {
  /** Begins with what holds now, and tells every change. */
  readonly watch: (signal: AbortSignal) => AsyncIterable<T>;
  /** The next is heard when this is done with. */
  readonly take: (told: T) => void | Promise<void>;
  /** For messages: what is told, and by whom. */
  readonly what: string;
  readonly from: string;
  readonly clock: Clock;
  readonly log: Log;
}

const firstPauseMs = 200;
const longestPauseMs = 2_000;
/** One that does not know the method will not learn it soon. */
const foreignPauseMs = 60_000;

/** Hears what is told, again and again after pauses, until the signal ends. Never rejects for what the teller does. */
export async function following<T>({ watch, take, what, from, clock, log }: FollowingParts<T>, signal: AbortSignal): Promise<void> {
  let pause = firstPauseMs;
  while (!signal.aborted) {
    try {
      for await (const told of watch(signal)) {
        pause = firstPauseMs;
        await take(told);
      }
    } catch (error) {
      const { code, message } = asMeshError(error);
      const foreign = code === "unsupported";
      if (foreign) log.info("nothing to follow, what was heard last holds", { what, from, reason: message });
      else log.debug("not heard", { what, from, reason: message });
      pause = foreign ? foreignPauseMs : pause;
    }
    await clock.sleep(pause, signal).catch(() => {});
    pause = Math.min(2 * pause, longestPauseMs);
  }
}

/** A watch at one of several, each time at the next. */
export function inTurn<T>(
  urls: readonly string[],
  watch: (url: string, signal: AbortSignal) => AsyncIterable<T>,
): (signal: AbortSignal) => AsyncIterable<T> {
  let asked = 0;
  return (signal) => watch(urls[asked++ % urls.length] ?? "", signal);
}
