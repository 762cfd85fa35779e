import type { Clock } from "../core/clock.js";
import { asMeshError } from "../core/error.js";

/** One that ends sooner is not ended by a certificate of its time. */
const shortestMs = 1_000;

/**
 * A stream that begins anew, over another connection, when a certificate of its own has ended. For streams that begin with all that there
 * is: their readers hear it again, and nothing is lost.
 */
export async function* overRenewals<T>(open: () => AsyncIterable<T>, signal: AbortSignal, clock: Clock): AsyncGenerator<T> {
  for (;;) {
    const begun = clock.monotonic();
    try {
      yield* open();
      return;
    } catch (error) {
      if (signal.aborted || asMeshError(error).code !== "expired" || clock.monotonic() - begun < shortestMs) throw error;
    }
  }
}
