interface Waiter {
  resolve(): void;
  reject(error: unknown): void;
}

/** Those who wait for the next pass, by unit. */
export class Waiters {
  #waiting = new Map<string, Set<Waiter>>();

  get size(): number {
    return this.#waiting.size;
  }

  /** Rejects with the signal's reason when that comes first. */
  wait(unit: string, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const aborted = () => reject(signal?.reason);
      const last = <A extends unknown[]>(then: (...args: A) => void) => {
        return (...args: A): void => {
          signal?.removeEventListener("abort", aborted);
          then(...args);
        };
      };
      signal?.addEventListener("abort", aborted, { once: true });
      const waiter = { resolve: last(resolve), reject: last(reject) };
      const same = this.#waiting.get(unit) ?? new Set();
      this.#waiting.set(unit, same.add(waiter));
    });
  }

  /** Those who wait now are told by what is returned; who comes later waits for the pass after. */
  take(): Taken {
    const taken = new Taken(this.#waiting);
    this.#waiting = new Map();
    return taken;
  }

  end(error: unknown): void {
    this.take().fail(error);
  }
}

export class Taken {
  readonly #waiting: ReadonlyMap<string, ReadonlySet<Waiter>>;

  constructor(waiting: ReadonlyMap<string, ReadonlySet<Waiter>>) {
    this.#waiting = waiting;
  }

  get units(): Iterable<string> {
    return this.#waiting.keys();
  }

  settle(unit: string, error: Error | undefined): void {
    for (const waiter of this.#waiting.get(unit) ?? []) error === undefined ? waiter.resolve() : waiter.reject(error);
  }

  fail(error: unknown): void {
    for (const same of this.#waiting.values()) for (const waiter of same) waiter.reject(error);
  }
}
