import { setMaxListeners } from "node:events";
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

/** Runs `task` when the signal ends, at once when it has; dispose to forget it. */
export function onAbort(signal: AbortSignal, task: () => void): Disposable {
  // One signal may end many calls: Node would take eleven for a leak.
  setMaxListeners(0, signal);
  signal.addEventListener("abort", task, { once: true });
  if (signal.aborted) task();
  return { [Symbol.dispose]: () => signal.removeEventListener("abort", task) };
}

/** A controller that also ends with `parent`. AbortSignal.any would stay tied to a long-lived parent; disposing this unties it. */
export function linked(parent: AbortSignal | undefined): AbortController & Disposable {
  const controller = new AbortController();
  const tie = parent && onAbort(parent, () => controller.abort(parent.reason));
  return Object.assign(controller, { [Symbol.dispose]: () => tie?.[Symbol.dispose]() });
}

/** Settles as `promise`, or rejects with the signal's reason when that comes first. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const tie = onAbort(signal, () => reject(signal.reason));
    promise.then(resolve, reject).finally(() => tie[Symbol.dispose]());
  });
}

/** What `source` yields until the signal ends; then it ends, even when the source does not listen to the signal itself. */
export async function* until<T>(source: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]();
  let wake = () => {};
  using _tie = onAbort(signal, () => wake());
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
    // Not awaited: a generator that waits for something else answers only after that.
    iterator.return?.().catch(() => {});
  }
}
