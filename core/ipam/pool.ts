import { MeshError } from "../error.js";
import { type Family, formatAddress, parseAddress, parseRange } from "./address.js";
import { Ranges } from "./ranges.js";

/** The addresses of one family, from one or several prefixes, each given at most once at a time. */
export class PrefixPool {
  readonly family: Family;
  /** How many addresses there are, given or not. */
  readonly size: bigint;
  readonly #all = new Ranges();
  readonly #free = new Ranges();
  #used = 0n;

  /** At least one prefix, all of one family; "invalid" otherwise. Prefixes that overlap count once. */
  constructor(cidrs: readonly string[]) {
    const ranges = cidrs.map(parseRange);
    const family = ranges[0]?.family;
    if (family === undefined || ranges.some((range) => range.family !== family))
      throw new MeshError("invalid", `a pool needs address ranges of one family, got ${JSON.stringify(cidrs)}`);
    this.family = family;
    for (const range of ranges) {
      this.#all.add(range);
      this.#free.add(range);
    }
    this.size = this.#all.size;
  }

  /** How many addresses are given. */
  get used(): bigint {
    return this.#used;
  }

  /** The lowest free address outside of the `excluded` prefixes, now taken; undefined where there is none. */
  take(excluded: readonly string[] = []): string | undefined {
    const value = this.#free.lowestOutside(rangesOf(excluded, this.family));
    if (value === undefined) return undefined;
    this.#free.remove(value);
    this.#used++;
    return formatAddress(this.family, value);
  }

  /** Takes this address (with or without a prefix length), if it is of this pool and free. */
  recover(address: string): boolean {
    const { family, value } = parseAddress(address);
    if (family !== this.family || !this.#free.has(value)) return false;
    this.#free.remove(value);
    this.#used++;
    return true;
  }

  /** Gives it back; nothing happens where it was not taken. */
  release(address: string): void {
    const { family, value } = parseAddress(address);
    if (family !== this.family || !this.#all.has(value) || this.#free.has(value)) return;
    this.#free.add({ first: value, last: value });
    this.#used--;
  }

  /** Whether the address belongs to the pool's prefixes. */
  contains(address: string): boolean {
    const { family, value } = parseAddress(address);
    return family === this.family && this.#all.has(value);
  }
}

function rangesOf(prefixes: readonly string[], family: Family): Ranges {
  const ranges = new Ranges();
  for (const prefix of prefixes) {
    const range = parseRange(prefix);
    if (range.family === family) ranges.add(range);
  }
  return ranges;
}
