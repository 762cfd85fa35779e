import type { Clock } from "../core/clock.js";
import { MeshError } from "../core/error.js";

const deadlines = new WeakMap<AbortSignal, number>();

/** When (milliseconds since 1970) a signal will end, where that is known. A call made under it tells its peer. */
export function deadlineOf(signal: AbortSignal): number | undefined {
  return deadlines.get(signal);
}

/** Notes a signal's deadline; whoever owns the signal sees to it that it really ends then. */
export function noteDeadline(signal: AbortSignal, at: number): void {
  deadlines.set(signal, at);
}

/** A signal that ends after `ms` (as "timeout") or with `parent`, and whose deadline calls pass on. Dispose it when done. */
export function timeLimit(clock: Clock, ms: number, parent?: AbortSignal): { readonly signal: AbortSignal } & Disposable {
  const controller = linked(parent);
  const timer = clock.after(ms, () => controller.abort(new MeshError("timeout", `it took longer than ${ms} ms`)));
  const limit = parent === undefined ? undefined : deadlineOf(parent);
  noteDeadline(controller.signal, Math.min(clock.now() + ms, limit ?? Number.POSITIVE_INFINITY));
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      timer[Symbol.dispose]();
      controller[Symbol.dispose]();
    },
  };
}

/** A controller that also ends with `parent`. AbortSignal.any would stay tied to a long-lived parent; disposing this unties it. */
export function linked(parent: AbortSignal | undefined): AbortController & Disposable {
  const controller = new AbortController();
  const follow = () => controller.abort(parent?.reason);
  if (parent?.aborted) follow();
  else parent?.addEventListener("abort", follow, { once: true });
  return Object.assign(controller, { [Symbol.dispose]: () => parent?.removeEventListener("abort", follow) });
}

/** Settles as `promise`, or rejects with the signal's reason when that comes first. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const aborted = () => reject(signal.reason);
    signal.addEventListener("abort", aborted, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", aborted));
  });
}

/** What `source` yields until the signal ends; then it ends, even when the source does not listen to the signal itself. */
export async function* until<T>(source: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]();
  let wake = () => {};
  const aborted = () => wake();
  signal.addEventListener("abort", aborted, { once: true });
  try {
    while (!signal.aborted) {
      // Not Promise.race: that would leave a reaction behind for every step of a long stream.
      const step = await new Promise<IteratorResult<T> | undefined>((resolve, reject) => {
        wake = () => resolve(undefined);
        iterator.next().then(resolve, reject);
      });
      if (step === undefined || step.done) return;
      yield step.value;
    }
  } finally {
    signal.removeEventListener("abort", aborted);
    // Not awaited: a generator that waits for something else answers only after that.
    iterator.return?.().catch(() => {});
  }
}
