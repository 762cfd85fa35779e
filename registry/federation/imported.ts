import { MeshError } from "../../core/error.js";
import type { Kept } from "../../rpc/opening.js";

/** What is kept of one site, as its messages have it: some hundred thousand things, and never so much that it harms. */
const mostBytes = 32 << 20;

interface Known<T> {
  readonly value: T;
  readonly bytes: number;
  /** Those through whom it is known. */
  readonly by: Set<object>;
  /** Whether it was heard of since its site came back. */
  stale: boolean;
}

export interface ImportedParts<T> {
  readonly show: (value: T, stale: boolean) => void;
  readonly hide: (name: string) => void;
  readonly bytes: (value: T) => number;
}

/** What is known of the things of one kind in one other site, through all that was asked for there. */
export class Imported<T extends { readonly name: string }> {
  readonly #parts: ImportedParts<T>;
  readonly #known = new Map<string, Known<T>>();
  #bytes = 0;
  #closed = false;

  constructor(parts: ImportedParts<T>) {
    this.#parts = parts;
  }

  /** What is known through `by`; learning throws "exhausted" when the site shows too much. */
  through(by: object): Kept<T> {
    return {
      learn: (value) => this.#learn(by, value),
      forget: (name) => this.#forget(by, name),
      names: () => [...this.#known].filter(([, known]) => known.by.has(by)).map(([name]) => name),
    };
  }

  /** Nobody asks through `by` any more. */
  drop(by: object): void {
    for (const name of [...this.#known.keys()]) this.#forget(by, name);
  }

  /** The site does not answer: what is known of it is kept, and marked. */
  markStale(): void {
    for (const known of this.#known.values()) {
      if (!known.stale) this.#parts.show(known.value, true);
      known.stale = true;
    }
  }

  showAgain(isMeant: (value: T) => boolean): void {
    for (const { value, stale } of this.#known.values()) if (isMeant(value)) this.#parts.show(value, stale);
  }

  /** The site was left: nothing is known of it from now on. */
  close(): void {
    this.#closed = true;
    for (const name of this.#known.keys()) this.#parts.hide(name);
    this.#known.clear();
  }

  #learn(by: object, value: T): void {
    if (this.#closed) return;
    const before = this.#known.get(value.name);
    const bytes = this.#parts.bytes(value);
    const all = this.#bytes - (before?.bytes ?? 0) + bytes;
    if (all > mostBytes) throw new MeshError("exhausted", `it shows more than ${mostBytes >> 20} MiB; the rest is left out`);
    this.#bytes = all;
    this.#known.set(value.name, { value, bytes, by: (before?.by ?? new Set()).add(by), stale: false });
    this.#parts.show(value, false);
  }

  #forget(by: object, name: string): void {
    const known = this.#known.get(name);
    if (known === undefined || !known.by.delete(by) || known.by.size > 0) return;
    this.#known.delete(name);
    this.#bytes -= known.bytes;
    this.#parts.hide(name);
  }
}
