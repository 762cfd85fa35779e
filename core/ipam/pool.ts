/** The addresses of one family, from one or several prefixes, each given at most once at a time. */
export class PrefixPool {
  readonly family: 4 | 6;
  readonly size: bigint;

  /** Canonical or not, all of one family; "invalid" otherwise. */
  constructor(_cidrs: readonly string[]) {
    throw new Error("soon");
  }

  /** How many addresses are given. */
  get used(): bigint {
    throw new Error("soon");
  }

  /** The lowest free address outside of `excluded`, now taken; undefined where there is none. */
  take(_excluded: readonly string[] = []): string | undefined {
    throw new Error("soon");
  }

  /** Takes this address (with or without a prefix length), if it is of this pool and free. */
  recover(_address: string): boolean {
    throw new Error("soon");
  }

  /** Gives it back; nothing happens where it was not taken. */
  release(_address: string): void {
    throw new Error("soon");
  }

  /** Whether the address belongs to the pool's prefixes. */
  contains(_address: string): boolean {
    throw new Error("soon");
  }
}
