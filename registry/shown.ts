import type { Found } from "../rpc/registry.js";
import { Index } from "./index.js";
import type { Kind } from "./kind.js";
import { Watchers } from "./watchers.js";

/** Things of one kind, in memory, for those who look for them and those who watch. */
export class Shown<T> {
  readonly #index: Index<T>;
  readonly #watchers: Watchers<T>;

  constructor(kind: Kind<T>) {
    this.#index = new Index(kind);
    this.#watchers = new Watchers(kind);
  }

  get size(): number {
    return this.#index.size;
  }

  /** How many watch. */
  get watched(): number {
    return this.#watchers.size;
  }

  names(): readonly string[] {
    return this.#index.names();
  }

  get(name: string): T | undefined {
    return this.#index.get(name);
  }

  find(query: T): T[] {
    return this.#index.find(query);
  }

  /** What matches now, then every change, the latest of each name when the reader is slow. Ends with the signal, or at `close`. */
  watch(query: T, signal: AbortSignal): AsyncIterable<Found<T>> {
    return this.#watchers.watch(query, () => this.#index.find(query), signal);
  }

  put(value: T): void {
    this.#watchers.tell(this.#index.put(value), value);
  }

  /** Whether it was there. */
  delete(name: string): boolean {
    const before = this.#index.delete(name);
    if (before !== undefined) this.#watchers.tell(before, undefined);
    return before !== undefined;
  }

  /** Ends every watch. */
  close(): void {
    this.#watchers.close();
  }
}
