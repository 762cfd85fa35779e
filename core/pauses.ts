import type { Clock } from "./clock.js";

const shortest = 200;
const longest = 2000;

/** One turn of a loop that tries again; `reset` after a success makes the next pause the shortest. */
export interface Turn {
  reset(): void;
}

/** A turn at once, then one after 200 ms, 400 ms ... 2 s, until the signal ends it. Never throws. */
export async function* pausesUntil(signal: AbortSignal, clock: Clock): AsyncIterable<Turn> {
  let pause = shortest;
  const turn: Turn = {
    reset: () => {
      pause = shortest;
    },
  };
  while (!signal.aborted) {
    yield turn;
    const ms = pause;
    pause = Math.min(2 * pause, longest);
    await clock.sleep(ms, signal).catch(() => {}); // ended: the loop sees it
  }
}
