import type { IKeyValue } from "etcd3";
import type { Entry, Revision } from "../store.js";

/** From `key` on, up to but without `range_end`, as etcd wants it. */
export interface KeyRange {
  readonly key: Buffer;
  readonly range_end: Buffer;
}

/**
 * How etcd's revisions, which all that use it share, are counted in one store: from the moment at which the store was made. When it is
 * made anew (somebody removed it, or etcd lost its data) the numbers go on, and those from before belong to no history any more.
 */
export interface Era {
  /** etcd's revision at that moment. */
  readonly made: number;
  /** Ours at the same moment. */
  readonly first: Revision;
}

export function revisionOf(theirs: string, { made, first }: Era): Revision {
  return Number(theirs) - made + first;
}

export function theirsOf(revision: Revision, { made, first }: Era): number {
  return revision - first + made;
}

const decoder = new TextDecoder("utf-8", { fatal: true });

/** Where a store's things are in etcd: the marker that says whose they are, and behind "data/" the keys. */
export class Space {
  readonly prefix: string;
  readonly marker: Buffer;
  readonly all: KeyRange;
  readonly #data: string;

  constructor(prefix: string) {
    this.prefix = prefix;
    this.marker = Buffer.from(`${prefix}format`);
    this.all = rangeOf(prefix);
    this.#data = `${prefix}data/`;
  }

  key(name: string): Buffer {
    return Buffer.from(this.#data + name);
  }

  range(prefix: string): KeyRange {
    return rangeOf(this.#data + prefix);
  }

  /** The key behind "data/", or undefined for one that no store of ours would write: not UTF-8, empty, or with a NUL. */
  name(key: Buffer): string | undefined {
    try {
      const name = decoder.decode(key.subarray(Buffer.byteLength(this.#data)));
      return name === "" || name.includes("\u0000") ? undefined : name;
    } catch {
      return undefined;
    }
  }

  entry(kv: IKeyValue, era: Era): Entry | undefined {
    const key = this.name(kv.key);
    if (key === undefined) return undefined;
    const [created, revision] = [revisionOf(kv.create_revision, era), revisionOf(kv.mod_revision, era)];
    return kv.lease === "0" ? { key, value: kv.value, created, revision } : { key, value: kv.value, created, revision, lease: kv.lease };
  }
}

/** All keys that begin with `prefix`. UTF-8 has no byte 0xff, so the last one can always be one more. */
function rangeOf(prefix: string): KeyRange {
  const key = Buffer.from(prefix);
  const end = Buffer.from(key);
  end[end.length - 1] = (end.at(-1) ?? 0) + 1;
  return { key, range_end: end };
}
