import type { StateStore } from "../../../program/state.js";

/** A program's disk: JSON that outlives its runs. */
export class Disk implements StateStore {
  readonly #values = new Map<string, string>();

  get<T>(key: string): T | undefined {
    const text = this.#values.get(key);
    return text === undefined ? undefined : (JSON.parse(text) as T);
  }

  async put(key: string, value: unknown): Promise<void> {
    this.#values.set(key, JSON.stringify(value));
  }

  async remove(key: string): Promise<void> {
    this.#values.delete(key);
  }

  *entries<T>(prefix: string): Generator<readonly [key: string, value: T]> {
    for (const key of [...this.#values.keys()].sort()) if (key.startsWith(prefix)) yield [key, this.get<T>(key) as T];
  }

  /** The keys with this prefix, for a look at what is left. */
  keys(prefix: string): string[] {
    return [...this.entries(prefix)].map(([key]) => key);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
