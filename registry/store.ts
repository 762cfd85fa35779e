import { MeshError } from "../core/error.js";

/**
 * A moment in the life of a store. Every commit that changes something makes the next one, and so may others who use the same cluster;
 * a new store is at 0.
 */
export type Revision = number;

/** Something that ends by itself unless it is renewed, and takes the keys with it that were written with it. */
export type LeaseId = string;

/** One key as it is now. */
export interface Entry {
  readonly key: string;
  readonly value: Uint8Array;
  /** When the key came into being; a delete and a put make it anew. */
  readonly created: Revision;
  /** When it was last written. */
  readonly revision: Revision;
  readonly lease?: LeaseId | undefined;
  /** When its lease ends, milliseconds since 1970, as known when the entry was read; absent without a lease, or where the store cannot tell. */
  readonly expires?: number | undefined;
}

/** Holds if the key was last written at `revision`; 0 means that it is not there. */
export interface Condition {
  readonly key: string;
  readonly revision: Revision;
}

export type Write =
  | { readonly op: "put"; readonly key: string; readonly value: Uint8Array; readonly lease?: LeaseId | undefined }
  | { readonly op: "delete"; readonly key: string };

/** All of it or nothing. At most `transactionLimit` conditions and as many writes, and no key written twice. */
export interface Transaction {
  readonly conditions?: readonly Condition[];
  readonly writes: readonly Write[];
}

/** `ok` false: a condition did not hold and nothing was written. `revision` is the store's, after the transaction. */
export interface Committed {
  readonly ok: boolean;
  readonly revision: Revision;
}

export interface Listing {
  readonly entries: readonly Entry[];
  /** The moment at which the entries were so: watch from here. */
  readonly revision: Revision;
}

export type Change =
  | { readonly type: "put"; readonly entry: Entry }
  | { readonly type: "delete"; readonly key: string; readonly revision: Revision };

/** The changes of one or more whole revisions, in order. */
export interface Batch {
  readonly changes: readonly Change[];
  /** Everything up to here has been told: resume after it. */
  readonly revision: Revision;
}

/** What an implementation can do; declared so that nobody has to try it out. */
export interface StoreAbilities {
  /** What was acknowledged survives the end of this process. */
  readonly durable: boolean;
  /** Other processes write to it too. */
  readonly shared: boolean;
  /** A lease may outlive its time by this much, and never ends before it. */
  readonly leaseResolutionMs: number;
}

/** The most conditions, and the most writes, that one transaction may have: etcd's default, less one condition that is the store's own. */
export const transactionLimit = 127;

/**
 * Where a registry keeps its data: keys in order, revisions, leases, watches. The shape is etcd's, so that an embedded store and a
 * cluster are the same to everybody above.
 *
 * Errors, of every method: "unreachable" when the store is closed or does not answer (try again; a commit may have happened),
 * "invalid" for a transaction that can never work, "not-found" for a lease that has ended, "exhausted" when it is full and "denied"
 * when it does not let us in, where it says so.
 */
export interface Store extends AsyncDisposable {
  readonly abilities: StoreAbilities;
  /** The key as last committed, or undefined. */
  get(key: string): Promise<Entry | undefined>;
  /** All keys that start with `prefix`, as of one moment. */
  list(prefix: string): Promise<Listing>;
  /** Resolves when the outcome is as durable as the store can make it. Deleting what is not there changes nothing. */
  commit(transaction: Transaction): Promise<Committed>;
  /**
   * Every change after the revision `after`, in order, none left out and none twice, also while nobody reads: a reader that is slow
   * holds up nobody. Ends without an error when the signal does. Throws Compacted when the store no longer knows what came after
   * `after` (too old, or the reader too slow): list again and watch from there. Throws "unreachable" when the store is lost: watch
   * again after the last revision seen.
   */
  watch(prefix: string, options: { readonly after: Revision; readonly signal: AbortSignal }): AsyncIterable<Batch>;
  /** A new lease of `ttlMs` from now. What is written with it is deleted when it ends, which watches see as deletes. */
  grant(ttlMs: number): Promise<LeaseId>;
  /** Starts its time anew; "not-found" when it has ended. */
  renew(lease: LeaseId): Promise<void>;
  /** Ends it now. Success also when it has ended. A key that was since written without it, or with another lease, stays. */
  revoke(lease: LeaseId): Promise<void>;
}

/** The store no longer has the history that a watch asked for. */
export class Compacted extends MeshError {
  /** The oldest revision after which a watch can start. */
  readonly oldest: Revision;

  constructor(after: Revision, oldest: Revision) {
    super("conflict", `the store's history starts after revision ${oldest}, not at ${after}; list again and watch from there`);
    this.name = "Compacted";
    this.oldest = oldest;
  }
}
