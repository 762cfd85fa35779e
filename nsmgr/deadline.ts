import type { Clock } from "../core/clock.js";
import { MeshError } from "../core/error.js";

export interface Deadline extends Disposable {
  /** Ends with the given signal, or with a MeshError "timeout" as its reason when the time is over. */
  readonly signal: AbortSignal;
  /** Whether the time was over first. */
  readonly over: boolean;
}

/** A signal with a time limit; `what` is the sentence for the error. Dispose it when the work is done. */
export function deadline(clock: Clock, ms: number, what: string, signal?: AbortSignal): Deadline {
  const controller = new AbortController();
  let over = false;
  const timer = clock.after(ms, () => {
    over = !controller.signal.aborted;
    controller.abort(new MeshError("timeout", what));
  });
  const pass = () => controller.abort(signal?.reason);
  if (signal?.aborted) pass();
  signal?.addEventListener("abort", pass, { once: true });
  return {
    signal: controller.signal,
    get over() {
      return over;
    },
    [Symbol.dispose]() {
      timer[Symbol.dispose]();
      signal?.removeEventListener("abort", pass);
    },
  };
}

/** The promise's result, or the signal's reason when that ends first; the work goes on without its reader. */
export function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const aborted = () => reject(signal.reason);
    if (signal.aborted) aborted();
    signal.addEventListener("abort", aborted, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", aborted));
  });
}
