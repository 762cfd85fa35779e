import type { Kept } from "../../rpc/opening.js";

interface Known<T> {
  readonly value: T;
  /** Those through whom it is known. */
  readonly by: Set<object>;
  /** Whether it was heard of since its site came back. */
  stale: boolean;
}

/** What is known of the things of one kind in one other site, through all that was asked for there. */
export class Imported<T extends { readonly name: string }> {
  readonly #show: (value: T, stale: boolean) => void;
  readonly #hide: (name: string) => void;
  readonly #known = new Map<string, Known<T>>();

  constructor(parts: { readonly show: (value: T, stale: boolean) => void; readonly hide: (name: string) => void }) {
    this.#show = parts.show;
    this.#hide = parts.hide;
  }

  /** What is known through `by`. */
  through(by: object): Kept<T> {
    return {
      learn: (value) => {
        const owners = this.#known.get(value.name)?.by ?? new Set();
        this.#known.set(value.name, { value, by: owners.add(by), stale: false });
        this.#show(value, false);
      },
      forget: (name) => this.#forget(by, name),
      names: () => [...this.#known].filter(([, known]) => known.by.has(by)).map(([name]) => name),
    };
  }

  /** Nobody asks through `by` any more. */
  drop(by: object): void {
    for (const name of [...this.#known.keys()]) this.#forget(by, name);
  }

  /** The site does not answer: what is known of it is kept, and marked. */
  markStale(): void {
    for (const known of this.#known.values()) {
      if (!known.stale) this.#show(known.value, true);
      known.stale = true;
    }
  }

  clear(): void {
    for (const name of this.#known.keys()) this.#hide(name);
    this.#known.clear();
  }

  #forget(by: object, name: string): void {
    const known = this.#known.get(name);
    if (known === undefined || !known.by.delete(by) || known.by.size > 0) return;
    this.#known.delete(name);
    this.#hide(name);
  }
}
