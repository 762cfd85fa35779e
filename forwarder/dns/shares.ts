/**
 * Places that clients share. One may hold as many as are still free, so that a greedy one ends with half of them, two with a third
 * each, and whoever comes next finds some.
 */
export class Shares {
  readonly #places: number;
  readonly #held = new Map<string, number>();
  #taken = 0;

  constructor(places: number) {
    this.#places = places;
  }

  get taken(): number {
    return this.#taken;
  }

  /** A place, until it is disposed of; undefined when this client has enough, or none is left. */
  take(client: string): Disposable | undefined {
    const own = this.#held.get(client) ?? 0;
    if (own >= this.#places - this.#taken) return undefined;
    this.#held.set(client, own + 1);
    this.#taken++;
    return { [Symbol.dispose]: () => this.#give(client) };
  }

  #give(client: string): void {
    const left = (this.#held.get(client) ?? 1) - 1;
    if (left === 0) this.#held.delete(client);
    else this.#held.set(client, left);
    this.#taken--;
  }
}
