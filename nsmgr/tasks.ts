import { setMaxListeners } from "node:events";
import { asMeshError } from "../core/error.js";
import type { Fields, Log } from "../core/log.js";

/** Work that nobody waits for: its failures are logged, and stopping waits for it. */
export class Tasks implements AsyncDisposable {
  readonly #log: Log;
  readonly #stop = new AbortController();
  readonly #running = new Set<Promise<void>>();

  constructor(log: Log) {
    this.#log = log;
    setMaxListeners(0, this.#stop.signal); // as many as there are tasks
  }

  /** Ends when this is disposed; each task listens to it. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** `about` is said with its failure. */
  spawn(name: string, task: (signal: AbortSignal) => Promise<unknown>, about: Fields = {}): void {
    const running = task(this.signal).then(
      () => {},
      (error: unknown) => {
        if (!this.signal.aborted) this.#log.error("task failed", { task: name, ...about, error: asMeshError(error) });
      },
    );
    this.#running.add(running);
    void running.then(() => this.#running.delete(running));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#running);
  }
}
