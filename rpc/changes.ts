import type { Found } from "./registry.js";

/** Changes on their way to a reader: per name only the last one waits, so a slow reader costs no more than there are names. */
export class Changes<T> {
  readonly #waiting = new Map<string, Found<T>>();
  #wake: (() => void) | undefined;
  #failure: unknown;
  #failed = false;

  push(name: string, found: Found<T>): void {
    this.#waiting.delete(name);
    this.#waiting.set(name, found);
    this.#wake?.();
  }

  /** Ends the reading with this error, after what waits. */
  fail(error: unknown): void {
    this.#failure = error;
    this.#failed = true;
    this.#wake?.();
  }

  /** Reads until the signal ends. */
  async *read(signal: AbortSignal): AsyncGenerator<Found<T>> {
    const wake = () => this.#wake?.();
    signal.addEventListener("abort", wake);
    try {
      while (!signal.aborted) {
        const next = this.#waiting.entries().next();
        if (!next.done) {
          this.#waiting.delete(next.value[0]);
          yield next.value[1];
          continue;
        }
        if (this.#failed) throw this.#failure;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      signal.removeEventListener("abort", wake);
    }
  }
}
