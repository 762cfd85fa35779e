/** Undoes things in the reverse order in which they were done, all of them, and then throws the first failure. */
export class Cleanup implements AsyncDisposable {
  #steps: (() => Promise<unknown>)[] = [];

  defer(step: () => Promise<unknown>): void {
    this.#steps.push(step);
  }

  use(thing: AsyncDisposable): void {
    this.defer(async () => thing[Symbol.asyncDispose]());
  }

  /** All steps in a new one; this one is left with nothing to do. */
  move(): Cleanup {
    const moved = new Cleanup();
    moved.#steps = this.#steps;
    this.#steps = [];
    return moved;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const failures: unknown[] = [];
    for (const step of this.#steps.splice(0).reverse()) await step().catch((error: unknown) => failures.push(error));
    if (failures.length > 0) throw failures[0];
  }
}
