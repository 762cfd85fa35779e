const none: ReadonlySet<never> = new Set();

/**
 * Several values per key; a key without values takes no room, and one with a single value, as nearly all have, not that of a set.
 * Values are no sets themselves.
 */
export class MultiMap<K, V> {
  readonly #values = new Map<K, V | Set<V>>();

  add(key: K, value: V): void {
    const held = this.#values.get(key);
    if (held instanceof Set) held.add(value);
    else if (held === undefined) this.#values.set(key, value);
    else if (held !== value) this.#values.set(key, new Set([held, value]));
  }

  delete(key: K, value: V): void {
    const held = this.#values.get(key);
    if (held instanceof Set) {
      held.delete(value);
      if (held.size === 0) this.#values.delete(key);
    } else if (held === value) this.#values.delete(key);
  }

  get(key: K): ReadonlySet<V> {
    const held = this.#values.get(key);
    if (held instanceof Set) return held;
    return held === undefined ? none : new Set([held]);
  }
}
