import { MeshError } from "../../core/error.js";
import type { Found, Registry } from "../../rpc/registry.js";

/** A registry in a few lines: values by name, watches that hear of changes, and a switch that takes it away. */
export class Shelf<T extends { name: string }> implements Registry<T> {
  readonly values = new Map<string, T>();
  readonly #watches = new Set<{ queue: Found<T>[]; wake: () => void; error?: Error }>();
  readonly #matches: (query: T, value: T) => boolean;
  lists = 0;
  away = false;
  /** While set, watches hear of nothing. */
  deaf = false;

  constructor(matches: (query: T, value: T) => boolean) {
    this.#matches = matches;
  }

  get watches(): number {
    return this.#watches.size;
  }

  async register(value: T): Promise<T> {
    this.values.set(value.name, value);
    this.#tell({ value, deleted: false });
    return value;
  }

  async unregister(value: T): Promise<void> {
    this.values.delete(value.name);
    this.#tell({ value, deleted: true });
  }

  /** Breaks every watch, as a lost connection does. */
  leave(): void {
    this.away = true;
    for (const watch of this.#watches) {
      watch.error = new MeshError("unreachable", "gone");
      watch.wake();
    }
  }

  #tell(found: Found<T>): void {
    if (this.deaf) return;
    for (const watch of this.#watches) {
      watch.queue.push(found);
      watch.wake();
    }
  }

  async *find(query: T, { watch }: { readonly watch: boolean }, { signal }: { readonly signal: AbortSignal }): AsyncGenerator<Found<T>> {
    if (this.away) throw new MeshError("unreachable", "nothing answers at tcp://registry:5002");
    const matching = [...this.values.values()].filter((value) => this.#matches(query, value));
    if (!watch) {
      this.lists += 1;
      for (const value of matching) yield { value, deleted: false };
      return;
    }
    const mine = { queue: matching.map((value) => ({ value, deleted: false })), wake: () => {}, error: undefined as Error | undefined };
    this.#watches.add(mine as never);
    try {
      for (;;) {
        for (let found = mine.queue.shift(); found !== undefined; found = mine.queue.shift())
          if (this.#matches(query, found.value)) yield found;
        if (mine.error) throw mine.error;
        if (signal.aborted) return;
        await new Promise<void>((resolve) => {
          mine.wake = resolve;
          signal.addEventListener("abort", () => resolve(), { once: true });
        });
      }
    } finally {
      this.#watches.delete(mine as never);
    }
  }
}
