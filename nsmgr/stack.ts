/** What was started, to be ended last first. Until it is moved, disposing it ends what a failed start began. */
export class Stack implements AsyncDisposable {
  #parts: (AsyncDisposable | Disposable)[] = [];

  use<T extends AsyncDisposable | Disposable>(part: T): T {
    this.#parts.push(part);
    return part;
  }

  /** Another stack with all of it; this one is empty then. */
  move(): Stack {
    const moved = new Stack();
    moved.#parts = this.#parts;
    this.#parts = [];
    return moved;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const part of this.#parts.splice(0).reverse()) {
      if (Symbol.asyncDispose in part) await part[Symbol.asyncDispose]();
      else part[Symbol.dispose]();
    }
  }
}
