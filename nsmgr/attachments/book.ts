import { MeshError } from "../../core/error.js";
import { usedPrefixes } from "../../core/excluded.js";
import { PrefixBag, type UsedPrefixes } from "../../core/ipam/prefixBag.js";
import { MultiMap } from "../../core/multiMap.js";
import type { Persisted } from "../../program/persisted.js";
import { type AttachmentRecord, type AttachmentView, interfaceOf } from "./record.js";
import { sameInterface } from "./request.js";

/** An attachment in memory, with what its work needs. */
export interface Entry extends AttachmentView {
  record: AttachmentRecord;
  reason: string;
  /** Monotonic milliseconds of the first request. */
  readonly started: number;
  /** Ends the request that is made for it; absent while none is. */
  abort: AbortController | undefined;
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
  readonly #used = new Map<string, PrefixBag>();

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

  /** What the other attachments in the same network namespace use. */
  usedByOthers(id: string): UsedPrefixes {
    const own = this.#entries.get(id)?.record;
    const used = own && this.#used.get(own.netnsUrl);
    return used?.without(prefixesOf(own)) ?? new PrefixBag();
  }

  all(): Entry[] {
    return [...this.#entries.values()];
  }

  /** Changes the record, in memory at once; resolves when it is on disk. What was removed stays so. */
  async change(entry: Entry, change: Partial<AttachmentRecord>): Promise<void> {
    if (this.#entries.get(entry.record.id) !== entry) return;
    this.#replace(entry, { ...entry.record, ...change });
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
    this.#use(undefined, record);
    return entry;
  }

  #leave(entry: Entry): void {
    this.#use(entry.record, undefined);
    this.#entries.delete(entry.record.id);
    this.#byNetns.delete(entry.record.netnsUrl, entry);
    if (this.#byNetns.get(entry.record.netnsUrl).size === 0) this.#used.delete(entry.record.netnsUrl);
  }

  #replace(entry: Entry, record: AttachmentRecord): void {
    this.#use(entry.record, record);
    entry.record = record;
  }

  #use(before: AttachmentRecord | undefined, now: AttachmentRecord | undefined): void {
    const netnsUrl = (now ?? before)?.netnsUrl ?? "";
    const used = this.#used.get(netnsUrl) ?? new PrefixBag();
    this.#used.set(netnsUrl, used);
    const [old, fresh] = [prefixesOf(before), prefixesOf(now)];
    // A refresh changes nothing of it, mostly: then nothing has to be built anew.
    for (const prefix of fresh) used.add(prefix);
    for (const prefix of old) used.remove(prefix);
  }

  /** Those in the same network namespace that are not closing. */
  #open({ netnsUrl }: AttachmentRecord): Entry[] {
    return [...this.#byNetns.get(netnsUrl)].filter(({ record }) => record.state !== "closing");
  }
}

/** One that is closing uses nothing any more. */
function prefixesOf(record: AttachmentRecord | undefined): string[] {
  return record?.connection === undefined || record.state === "closing" ? [] : usedPrefixes(record.connection);
}
