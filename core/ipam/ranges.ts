/** The numbers from `first` to `last`, both inclusive. */
export interface Span {
  readonly first: bigint;
  readonly last: bigint;
}

/** A set of numbers, kept as sorted spans that do not touch, so that a whole /64 is one entry. Finding is O(log n) in the spans. */
export class Ranges {
  readonly #spans: Span[] = [];

  add(span: Span): void {
    const from = this.#firstEndingAt(span.first - 1n);
    const to = this.#firstStartingAfter(span.last + 1n);
    const first = min(span.first, this.#spans[from]?.first ?? span.first);
    const last = max(span.last, to > from ? (this.#spans[to - 1]?.last ?? span.last) : span.last);
    this.#spans.splice(from, to - from, { first: to > from ? first : span.first, last });
  }

  /** Takes one number out. */
  remove(value: bigint): void {
    const at = this.#firstEndingAt(value);
    const span = this.#spans[at];
    if (span === undefined || span.first > value) return;
    const rest: Span[] = [];
    if (span.first < value) rest.push({ first: span.first, last: value - 1n });
    if (value < span.last) rest.push({ first: value + 1n, last: span.last });
    this.#spans.splice(at, 1, ...rest);
  }

  has(value: bigint): boolean {
    const span = this.#spans[this.#firstEndingAt(value)];
    return span !== undefined && span.first <= value;
  }

  /** Whether a number of the span is in this set. */
  meets(span: Span): boolean {
    const found = this.#spans[this.#firstEndingAt(span.first)];
    return found !== undefined && found.first <= span.last;
  }

  /** In order. */
  spans(): Iterable<Span> {
    return this.#spans;
  }

  /** The lowest number that is in this set and not in `others`. */
  lowestOutside(others: Ranges): bigint | undefined {
    for (let at = 0, from = 0n; at < this.#spans.length; ) {
      const span = this.#spans[at];
      if (span === undefined) return undefined;
      const candidate = max(span.first, from);
      const blocking = others.#spans[others.#firstEndingAt(candidate)];
      if (blocking === undefined || blocking.first > candidate) return candidate;
      from = blocking.last + 1n;
      at = this.#firstEndingAt(from);
    }
    return undefined;
  }

  /** How many numbers there are. */
  get size(): bigint {
    return this.#spans.reduce((sum, { first, last }) => sum + last - first + 1n, 0n);
  }

  /** The index of the first span that ends at `value` or behind it. */
  #firstEndingAt(value: bigint): number {
    return this.#search((span) => span.last >= value);
  }

  #firstStartingAfter(value: bigint): number {
    return this.#search((span) => span.first > value);
  }

  /** The first index for which `found` holds; it holds for all behind that. */
  #search(found: (span: Span) => boolean): number {
    let low = 0;
    let high = this.#spans.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const span = this.#spans[middle];
      if (span !== undefined && found(span)) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

function min(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
