import type { LeaseId, Revision } from "./store.js";

/** A key as an engine keeps it. */
export interface StoredEntry {
  readonly value: Uint8Array;
  readonly created: Revision;
  readonly revision: Revision;
  readonly lease?: LeaseId | undefined;
}

/** A lease as an engine keeps it: what is needed to go on with it after a restart. */
export interface StoredLease {
  readonly ttlMs: number;
  /** Milliseconds since 1970. */
  readonly expires: number;
}

/** What a store is made of, as one transaction sees and changes it. */
export interface Tables {
  revision(): Revision;
  setRevision(revision: Revision): void;
  entry(key: string): StoredEntry | undefined;
  putEntry(key: string, entry: StoredEntry): void;
  removeEntry(key: string): void;
  putLease(id: LeaseId, lease: StoredLease): void;
  removeLease(id: LeaseId): void;
  /** The keys that were written with the lease and have it still. */
  keysOf(lease: LeaseId): readonly string[];
  hold(lease: LeaseId, key: string): void;
  release(lease: LeaseId, key: string): void;
}

/** Where an embedded store puts its tables: all that differs between memory and disk. */
export interface Engine {
  readonly durable: boolean;
  /** For messages: "memory", or the folder. */
  readonly place: string;
  /** Runs `work` alone; resolves with its result when what it wrote is as durable as it gets. Transactions take effect in order. */
  transact<T>(work: (tables: Tables) => T): Promise<T>;
  /** The last committed state; `read` and `scan` see the same. */
  revision(): Revision;
  read(key: string): StoredEntry | undefined;
  scan(prefix: string): { readonly entries: readonly (readonly [string, StoredEntry])[]; readonly revision: Revision };
  leases(): Iterable<readonly [LeaseId, StoredLease]>;
  close(): Promise<void>;
}
