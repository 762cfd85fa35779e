import { onAbort } from "./signals.js";

/** Something that changes, and tells when. */
interface Changing<T> {
  /** Undefined while there is nothing to tell. */
  readonly current: () => T | undefined;
  listen(listener: () => void): Disposable;
}

/**
 * What there is, and again after every change, the latest when the reader is slow; until the signal ends. `sameAs` tells what is the same
 * thing again, which is not said twice.
 */
export async function* latest<T>(
  { current, listen }: Changing<T>,
  signal: AbortSignal,
  sameAs: (value: T) => unknown = (value) => value,
): AsyncGenerator<T> {
  let wake = () => {};
  let told: unknown;
  using _listening = listen(() => wake());
  while (!signal.aborted) {
    const value = current();
    if (value !== undefined && sameAs(value) !== told) {
      told = sameAs(value);
      yield value;
      continue;
    }
    const changed = new Promise<void>((resolve) => {
      wake = resolve;
    });
    using _tie = onAbort(signal, wake);
    await changed;
  }
}
