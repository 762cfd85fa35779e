/** Runs tasks for one key one at a time, in the order they came; keys do not wait for one another. */
export class Serial {
  readonly #last = new Map<string, Promise<unknown>>();

  /** The task's result. A task that fails does not keep the next from running. */
  run<T>(key: string, task: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key) ?? Promise.resolve();
    const result = before.then(task, task);
    const settled = result.then(
      () => {},
      () => {},
    );
    this.#last.set(key, settled);
    void settled.then(() => {
      if (this.#last.get(key) === settled) this.#last.delete(key);
    });
    return result;
  }
}
