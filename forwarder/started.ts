/** What was started, ended in reverse order; moved on when all of it runs. */
export class Started implements AsyncDisposable {
  #running: (AsyncDisposable | Disposable)[] = [];

  use<T extends AsyncDisposable | Disposable>(resource: T): T {
    this.#running.push(resource);
    return resource;
  }

  /** Everything, for another owner. */
  move(): AsyncDisposable {
    const moved = new Started();
    moved.#running = this.#running;
    this.#running = [];
    return moved;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const resource of this.#running.reverse()) {
      if (Symbol.asyncDispose in resource) await resource[Symbol.asyncDispose]();
      else resource[Symbol.dispose]();
    }
    this.#running = [];
  }
}
