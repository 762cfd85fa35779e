import type { Kind } from "./kind.js";

/** Everything of one kind, found by its name or by its terms without looking at the rest. */
export class Index<T> {
  readonly #kind: Kind<T>;
  readonly #byName = new Map<string, T>();
  /** A value that is the only one with its term is there itself: most labels are of one endpoint, and a map is larger than it. */
  readonly #byTerm = new Map<string, T | Bucket<T>>();

  constructor(kind: Kind<T>) {
    this.#kind = kind;
  }

  get size(): number {
    return this.#byName.size;
  }

  get(name: string): T | undefined {
    return this.#byName.get(name);
  }

  names(): readonly string[] {
    return [...this.#byName.keys()];
  }

  /** Returns what had the name before. */
  put(value: T): T | undefined {
    const name = this.#kind.name(value);
    const before = this.delete(name);
    this.#byName.set(name, value);
    for (const term of this.#kind.terms(value)) this.#add(term, name, value);
    return before;
  }

  delete(name: string): T | undefined {
    const before = this.#byName.get(name);
    if (before === undefined) return undefined;
    this.#byName.delete(name);
    for (const term of this.#kind.terms(before)) this.#remove(term, name);
    return before;
  }

  /** What matches the query now. Looks at no more than the fewest values that share one of its terms. */
  find(query: T): T[] {
    return [...this.#candidates(query)].filter((value) => this.#kind.matches(query, value));
  }

  #candidates(query: T): Iterable<T> {
    const name = this.#kind.name(query);
    if (name !== "") {
      const named = this.#byName.get(name);
      return named === undefined ? [] : [named];
    }
    let fewest: ReadonlyMap<string, T> = this.#byName;
    for (const term of this.#kind.terms(query)) {
      const there = this.#byTerm.get(term);
      if (!(there instanceof Bucket)) return there === undefined ? [] : [there];
      if (there.size < fewest.size) fewest = there;
    }
    return fewest.values();
  }

  #add(term: string, name: string, value: T): void {
    const there = this.#byTerm.get(term);
    if (there === undefined) this.#byTerm.set(term, value);
    else if (there instanceof Bucket) there.set(name, value);
    else
      this.#byTerm.set(
        term,
        new Bucket([
          [this.#kind.name(there), there],
          [name, value],
        ]),
      );
  }

  #remove(term: string, name: string): void {
    const there = this.#byTerm.get(term);
    if (there instanceof Bucket) {
      there.delete(name);
      if (there.size > 0) return;
    }
    this.#byTerm.delete(term);
  }
}

/** The values of one term, by name. */
class Bucket<T> extends Map<string, T> {}
