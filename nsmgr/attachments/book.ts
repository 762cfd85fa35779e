import type { Connection } from "../../api/gen/connection/connection.js";
import { MeshError } from "../../core/error.js";
import type { Persisted } from "../persisted.js";
import { type AttachmentRecord, type AttachmentView, interfaceOf } from "./record.js";
import { sameInterface } from "./request.js";

/** An attachment in memory, with what its work needs. */
export interface Entry extends AttachmentView {
  record: AttachmentRecord;
  reason: string;
  /** Monotonic milliseconds of the first request. */
  readonly started: number;
  /** Ends the requests that are made for it. */
  readonly abort: AbortController;
  /** Where its namespace is watched. */
  watch?: Disposable | undefined;
  /** Set when it is closing; resolves when every hop has let go. */
  closed?: Promise<void> | undefined;
}

/** All attachments of this node, in memory and on disk. */
export class Book {
  readonly #kept: Persisted<AttachmentRecord>;
  readonly #entries = new Map<string, Entry>();

  constructor(kept: Persisted<AttachmentRecord>) {
    this.#kept = kept;
  }

  /** What an earlier run left, taken up. */
  load(): Entry[] {
    return this.#kept.entries().map(([, record]) => this.#enter(record, 0, "nsmgr was started again"));
  }

  /** Resolves when it is on disk. MeshError "exists" for a second one with the same interface in the same namespace. */
  async add(record: AttachmentRecord, started: number): Promise<Entry> {
    const second = this.all().find((entry) => sameInterface(entry.record, record));
    if (second !== undefined) {
      const { id, netnsUrl } = second.record;
      throw new MeshError(
        "exists",
        `interface ${interfaceOf(record)} in ${netnsUrl} belongs to attachment ${id}; take another name, or close that one first`,
      );
    }
    const entry = this.#enter(record, started, "being requested");
    await this.#kept.put(record.id, record);
    return entry;
  }

  get(id: string): Entry | undefined {
    return this.#entries.get(id);
  }

  /** The connections of the other attachments in the same network namespace. */
  neighbours(id: string): Connection[] {
    const netnsUrl = this.#entries.get(id)?.record.netnsUrl;
    const others = this.all().filter(({ record }) => record.id !== id && record.netnsUrl === netnsUrl && record.state !== "closing");
    return others.flatMap(({ record }) => record.connection ?? []);
  }

  all(): Entry[] {
    return [...this.#entries.values()];
  }

  /** Changes the record, in memory at once; resolves when it is on disk. What was removed stays so. */
  async change(entry: Entry, change: Partial<AttachmentRecord>): Promise<void> {
    if (this.#entries.get(entry.record.id) !== entry) return;
    entry.record = { ...entry.record, ...change };
    await this.#kept.put(entry.record.id, entry.record);
  }

  async remove(entry: Entry): Promise<void> {
    entry.watch?.[Symbol.dispose]();
    this.#entries.delete(entry.record.id);
    await this.#kept.remove(entry.record.id);
  }

  #enter(record: AttachmentRecord, started: number, reason: string): Entry {
    const entry: Entry = { record, reason, started, abort: new AbortController() };
    this.#entries.set(record.id, entry);
    return entry;
  }
}
