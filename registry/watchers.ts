import type { Found } from "../rpc/registry.js";
import type { Kind } from "./kind.js";

/** Under what a watcher is kept that asks for neither a name nor a term. */
const everything = "*";

/** Those who watch things of one kind, kept by what they ask for, so that a change costs only those whom it can concern. */
export class Watchers<T> {
  readonly #kind: Kind<T>;
  readonly #byTerm = new Map<string, Set<Watcher<T>>>();
  #closed = false;

  constructor(kind: Kind<T>) {
    this.#kind = kind;
  }

  get size(): number {
    let size = 0;
    for (const watchers of this.#byTerm.values()) size += watchers.size;
    return size;
  }

  /** `now` first, then what changes, until the signal ends or all are closed. It listens from the first `next` on. */
  async *watch(query: T, now: () => readonly T[], signal: AbortSignal): AsyncGenerator<Found<T>> {
    const watcher = new Watcher(query, this.#kind);
    for (const value of now()) watcher.tell(undefined, value);
    const term = this.#termOf(query);
    this.#add(term, watcher);
    try {
      while (!signal.aborted && !this.#closed) {
        const found = watcher.take();
        if (found !== undefined) yield found;
        else await watcher.news(signal);
      }
    } finally {
      this.#remove(term, watcher);
    }
  }

  /** `before` became `after`; undefined is: not there. */
  tell(before: T | undefined, after: T | undefined): void {
    const terms = new Set([everything]);
    for (const value of [before, after]) {
      if (value === undefined) continue;
      terms.add(nameTerm(this.#kind.name(value)));
      for (const term of this.#kind.terms(value)) terms.add(term);
    }
    // A watcher is kept under one term, so nobody hears it twice.
    for (const term of terms) for (const watcher of this.#byTerm.get(term) ?? []) watcher.tell(before, after);
  }

  /** Ends every watch. */
  close(): void {
    this.#closed = true;
    for (const watchers of this.#byTerm.values()) for (const watcher of watchers) watcher.wake();
  }

  /** Labels are told apart better than services, and come last. */
  #termOf(query: T): string {
    const name = this.#kind.name(query);
    return name !== "" ? nameTerm(name) : (this.#kind.terms(query).at(-1) ?? everything);
  }

  #add(term: string, watcher: Watcher<T>): void {
    const watchers = this.#byTerm.get(term);
    if (watchers === undefined) this.#byTerm.set(term, new Set([watcher]));
    else watchers.add(watcher);
  }

  #remove(term: string, watcher: Watcher<T>): void {
    const watchers = this.#byTerm.get(term);
    watchers?.delete(watcher);
    if (watchers?.size === 0) this.#byTerm.delete(term);
  }
}

interface Pending<T> extends Found<T> {
  /** Whether the reader has been told of it at some time, so that its end is news. */
  readonly known: boolean;
}

/**
 * One who watches. What it has not read yet is kept by name, the latest only; a thing that came and went unread is forgotten. So what
 * waits is never more than what the reader knows and what is there, however slow it is.
 */
class Watcher<T> {
  readonly #query: T;
  readonly #kind: Kind<T>;
  readonly #pending = new Map<string, Pending<T>>();
  #wake: (() => void) | undefined;

  constructor(query: T, kind: Kind<T>) {
    this.#query = query;
    this.#kind = kind;
  }

  tell(before: T | undefined, after: T | undefined): void {
    const was = before !== undefined && this.#kind.matches(this.#query, before);
    const is = after !== undefined && this.#kind.matches(this.#query, after);
    if (was || is) this.#note(before, after, { was, is });
  }

  take(): Found<T> | undefined {
    for (const [name, { value, deleted }] of this.#pending) {
      this.#pending.delete(name);
      return { value, deleted };
    }
    return undefined;
  }

  wake(): void {
    this.#wake?.();
  }

  /** Resolves when there may be something to take, or the signal has ended. */
  news(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#wake = undefined;
        signal.removeEventListener("abort", done);
        resolve();
      };
      this.#wake = done;
      signal.addEventListener("abort", done, { once: true });
    });
  }

  #note(before: T | undefined, after: T | undefined, { was, is }: { readonly was: boolean; readonly is: boolean }): void {
    const name = this.#kind.name((after ?? before) as T);
    const known = this.#pending.get(name)?.known ?? was;
    if (is) this.#pending.set(name, { value: after as T, deleted: false, known });
    else if (known) this.#pending.set(name, { value: before as T, deleted: true, known });
    else this.#pending.delete(name);
    this.wake();
  }
}

function nameTerm(name: string): string {
  return `n\u0000${name}`;
}
