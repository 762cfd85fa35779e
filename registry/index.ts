import type { Kind } from "./kind.js";

/** Everything of one kind, found by its name or by its terms without looking at the rest. */
export class Index<T> {
  readonly #kind: Kind<T>;
  readonly #byName = new Map<string, T>();
  readonly #byTerm = new Map<string, Map<string, T>>();

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
    for (const term of this.#kind.terms(value)) {
      const bucket = this.#byTerm.get(term);
      if (bucket === undefined) this.#byTerm.set(term, new Map([[name, value]]));
      else bucket.set(name, value);
    }
    return before;
  }

  delete(name: string): T | undefined {
    const before = this.#byName.get(name);
    if (before === undefined) return undefined;
    this.#byName.delete(name);
    for (const term of this.#kind.terms(before)) {
      const bucket = this.#byTerm.get(term);
      bucket?.delete(name);
      if (bucket?.size === 0) this.#byTerm.delete(term);
    }
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
    let fewest: Map<string, T> = this.#byName;
    for (const term of this.#kind.terms(query)) {
      const bucket = this.#byTerm.get(term);
      if (bucket === undefined) return [];
      if (bucket.size < fewest.size) fewest = bucket;
    }
    return fewest.values();
  }
}
