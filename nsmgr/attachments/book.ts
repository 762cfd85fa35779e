import type { Connection } from "../../api/gen/connection/connection.js";
import { MeshError } from "../../core/error.js";
import { MultiMap } from "../../core/multiMap.js";
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
  readonly #byNetns = new MultiMap<string, Entry>();

  constructor(kept: Persisted<AttachmentRecord>) {
    this.#kept = kept;
  }

  /** What an earlier run left, taken up. */
  load(): Entry[] {
    const state = (record: AttachmentRecord) => (record.state === "up" ? "healing" : record.state);
    return this.#kept.entries().map(([, record]) => this.#enter({ ...record, state: state(record) }, 0, "nsmgr was started again"));
  }

  /** Resolves when it is on disk. MeshError "exists" for a second one with the same interface in the same namespace. */
  async add(record: AttachmentRecord, started: number): Promise<Entry> {
    const second = this.#open(record).find((entry) => sameInterface(entry.record, record));
    if (second !== undefined) {
      const { id, netnsUrl } = second.record;
      throw new MeshError(
        "exists",
        `interface ${interfaceOf(record)} in ${netnsUrl} belongs to attachment ${id}; take another name, or close that one first`,
      );
    }
    const entry = this.#enter(record, started, "being requested");
    try {
      await this.#kept.put(record.id, record);
    } catch (error) {
      this.#leave(entry);
      throw error;
    }
    return entry;
  }

  get(id: string): Entry | undefined {
    return this.#entries.get(id);
  }

  /** The connections of the other attachments in the same network namespace. */
  neighbours(id: string): Connection[] {
    const own = this.#entries.get(id);
    const others = own === undefined ? [] : this.#open(own.record).filter((entry) => entry !== own);
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
    this.#leave(entry);
    await this.#kept.remove(entry.record.id);
  }

  #enter(record: AttachmentRecord, started: number, reason: string): Entry {
    const entry: Entry = { record, reason, started, abort: new AbortController() };
    this.#entries.set(record.id, entry);
    this.#byNetns.add(record.netnsUrl, entry);
    return entry;
  }

  #leave(entry: Entry): void {
    this.#entries.delete(entry.record.id);
    this.#byNetns.delete(entry.record.netnsUrl, entry);
  }

  /** Those in the same network namespace that are not closing. */
  #open({ netnsUrl }: AttachmentRecord): Entry[] {
    return [...this.#byNetns.get(netnsUrl)].filter(({ record }) => record.state !== "closing");
  }
}
