import { isAway } from "../../core/error.js";

/** Where a site's registries answer, all with one authority. The one that answered last is asked first. */
export class Addresses {
  readonly #urls: readonly string[];
  #current: string;

  /** `first` is asked before the others; it may be one of them. */
  constructor(first: string, others: readonly string[]) {
    this.#urls = [...new Set([first, ...others])];
    this.#current = first;
  }

  get current(): string {
    return this.#current;
  }

  /** The next one from now on, unless somebody moved on already. */
  leave(url: string): void {
    if (url === this.#current) this.#current = this.#urls[(this.#urls.indexOf(url) + 1) % this.#urls.length] ?? url;
  }

  /** Asks each at most once, until one answers or says no. Rejects with what the last one failed with. */
  async ask<T>(task: (url: string) => Promise<T>): Promise<T> {
    for (let left = this.#urls.length - 1; ; left--) {
      const url = this.#current;
      try {
        return await task(url);
      } catch (error) {
        if (!isAway(error)) throw error;
        this.leave(url);
        if (left === 0) throw error;
      }
    }
  }
}
