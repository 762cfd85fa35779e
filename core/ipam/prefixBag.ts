import { type Family, formatAddress, parseRange, type Range, widthOf } from "./address.js";
import { Ranges, type Span } from "./ranges.js";

/** Addresses that are in use, as whoever asks for others needs to know them. */
export interface UsedPrefixes {
  /** As few prefixes as say exactly which. */
  readonly prefixes: readonly string[];
  /** Whether an address of this prefix is among them. */
  meets(prefix: string): boolean;
}

/**
 * Prefixes, each as often as it was added. Neighbouring ones are told as one, so that what is sent to exclude them stays short however
 * many there are. Adding costs the logarithm of what there is; after a removal the next question builds its answer anew.
 */
export class PrefixBag implements UsedPrefixes {
  readonly #counted = new Map<string, { readonly range: Range; count: number }>();
  #ranges: ReadonlyMap<Family, Ranges> | undefined;
  #prefixes: readonly string[] | undefined;

  constructor(prefixes: Iterable<string> = []) {
    for (const prefix of prefixes) this.add(prefix);
  }

  add(prefix: string): void {
    const known = this.#counted.get(prefix);
    if (known !== undefined) {
      known.count++;
      return;
    }
    const range = parseRange(prefix);
    this.#counted.set(prefix, { range, count: 1 });
    this.#ranges?.get(range.family)?.add(range);
    this.#prefixes = undefined;
  }

  /** Once; a prefix that is not there stays so. */
  remove(prefix: string): void {
    const known = this.#counted.get(prefix);
    if (known === undefined || --known.count > 0) return;
    this.#counted.delete(prefix);
    this.#ranges = undefined;
    this.#prefixes = undefined;
  }

  get prefixes(): readonly string[] {
    this.#prefixes ??= [...this.#built()].flatMap(([family, ranges]) => [...ranges.spans()].flatMap((span) => covering(family, span)));
    return this.#prefixes;
  }

  meets(prefix: string): boolean {
    const range = parseRange(prefix);
    return this.#built().get(range.family)?.meets(range) ?? false;
  }

  /** The same without these, each taken out once. */
  without(prefixes: readonly string[]): UsedPrefixes {
    if (!prefixes.some((prefix) => this.#counted.has(prefix))) return this;
    const rest = new PrefixBag();
    for (const [prefix, { range, count }] of this.#counted) rest.#counted.set(prefix, { range, count });
    for (const prefix of prefixes) rest.remove(prefix);
    return rest;
  }

  #built(): ReadonlyMap<Family, Ranges> {
    if (this.#ranges !== undefined) return this.#ranges;
    const ranges = new Map<Family, Ranges>([
      [4, new Ranges()],
      [6, new Ranges()],
    ]);
    for (const { range } of this.#counted.values()) ranges.get(range.family)?.add(range);
    this.#ranges = ranges;
    return ranges;
  }
}

/** A span as the prefixes that cover it: at each place the largest that starts there and fits. */
function covering(family: Family, { first, last }: Span): string[] {
  const prefixes: string[] = [];
  for (let at = first; at <= last; ) {
    let bits = 0;
    while (bits < widthOf(family) && at % (1n << BigInt(bits + 1)) === 0n && at + (1n << BigInt(bits + 1)) - 1n <= last) bits++;
    prefixes.push(`${formatAddress(family, at)}/${widthOf(family) - bits}`);
    at += 1n << BigInt(bits);
  }
  return prefixes;
}
