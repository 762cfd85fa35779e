import type { KernelEvent } from "./model.js";

/** Keeps events until they are taken: of one device the latest (and beside it that somebody was learned), and one "resync" in place of all. So it stays as small as the node is. */
export class EventQueue {
  readonly #pending = new Map<string, KernelEvent>();
  #wake: (() => void) | undefined;

  push(event: KernelEvent): void {
    if (event.kind === "resync") {
      this.#pending.clear();
      this.#pending.set("", event);
    } else if (!this.#pending.has("")) {
      this.#pending.set(event.kind === "learned" ? `learned ${event.device}` : event.device, event);
    }
    this.#wake?.();
  }

  /** Yields events as they come until the signal ends it. */
  async *take(signal: AbortSignal): AsyncGenerator<KernelEvent> {
    const stop = (): void => this.#wake?.();
    signal.addEventListener("abort", stop);
    try {
      while (!signal.aborted) {
        const [first] = this.#pending;
        if (first === undefined) await this.#something();
        else {
          this.#pending.delete(first[0]);
          yield first[1];
        }
      }
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  #something(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
