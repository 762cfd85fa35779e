import type { Segment } from "../../api/gen/isthmus/v1/segment.js";
import type { Moment } from "../../core/segment/moment.js";
import type { SegmentSource } from "../../rpc/segmentApi.js";
import type { Revision } from "../store.js";
import { storeHistory } from "../storeHistory.js";
import { View, type ViewParts } from "../view.js";
import { anySegment, segmentKind } from "./document.js";

/** All segments that the site knows, as its store has them: those made here, and the copies of those that other sites share with it. */
export class SegmentBook implements SegmentSource, AsyncDisposable {
  readonly #view: View<Segment>;
  readonly #listeners = new Set<() => void>();
  readonly #stop = new AbortController();
  readonly #history: string;
  #current: readonly Segment[];
  #revision: Revision;
  #following: Promise<void> = Promise.resolve();

  private constructor(view: View<Segment>, history: string) {
    this.#view = view;
    this.#history = history;
    this.#current = this.#found();
    this.#revision = view.revision;
  }

  /** Resolves when it shows all that the store has. */
  static async open(parts: Omit<ViewParts<Segment>, "kind">): Promise<SegmentBook> {
    const history = await storeHistory(parts.store);
    const book = new SegmentBook(await View.open({ ...parts, kind: segmentKind }), history);
    book.#following = book.#follow();
    return book;
  }

  /** By name. */
  get current(): readonly Segment[] {
    return this.#current;
  }

  get moment(): Moment {
    return { history: this.#history, revision: this.#revision };
  }

  get(name: string): Segment | undefined {
    return this.#view.get(name);
  }

  has(name: string): boolean {
    return this.#view.get(name) !== undefined;
  }

  listen(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  /** Resolves when it shows what was committed at `revision`. */
  async settled(revision: Revision, signal: AbortSignal): Promise<void> {
    await this.#view.settled(revision, signal);
    this.#refresh();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#view[Symbol.asyncDispose]();
    await this.#following;
  }

  async #follow(): Promise<void> {
    for await (const _ of this.#view.watch(anySegment, this.#stop.signal)) this.#refresh();
  }

  #refresh(): void {
    const found = this.#found();
    this.#revision = this.#view.revision;
    if (found.length === this.#current.length && found.every((segment, at) => segment === this.#current[at])) return;
    this.#current = found;
    for (const listener of [...this.#listeners]) listener();
  }

  #found(): readonly Segment[] {
    return this.#view.find(anySegment).sort((a, b) => (a.name < b.name ? -1 : 1));
  }
}
