import { MeshError } from "../../../core/error.js";
import type { Committed, Revision, Store, Transaction } from "../../../registry/store.js";

/** A commit as its client saw it. Each put has a value of its own, so a change can be told to be of one commit. */
export interface RecordedCommit {
  readonly transaction: Transaction;
  /** "unknown": it ended with "unreachable", so it may have happened. */
  readonly outcome: Committed | "unknown";
}

/** A read as its client saw it. */
export interface RecordedRead {
  readonly key: string;
  /** The last revision at which a change of the key had been acknowledged before the read began. */
  readonly atLeast: Revision;
  readonly found: { readonly value: string; readonly revision: Revision } | undefined;
}

/** When a value that ends by itself was granted its time. */
export interface RecordedLease {
  readonly granted: number;
  readonly ttlMs: number;
}

/** Everything that clients of a store asked and were told. */
export class Record {
  readonly commits: RecordedCommit[] = [];
  readonly reads: RecordedRead[] = [];
  readonly #acknowledged = new Map<string, Revision>();
  /** By the value that was written with it. */
  readonly leases = new Map<string, RecordedLease>();

  acknowledged(key: string): Revision {
    return this.#acknowledged.get(key) ?? 0;
  }

  /** The store, with each commit and its outcome written down. */
  on(store: Store): Pick<Store, "get" | "commit"> {
    return { get: (key) => store.get(key), commit: (transaction) => this.#commit(store, transaction) };
  }

  async #commit(store: Store, transaction: Transaction): Promise<Committed> {
    try {
      const outcome = await store.commit(transaction);
      this.commits.push({ transaction, outcome });
      if (outcome.ok)
        for (const { key } of transaction.writes) this.#acknowledged.set(key, Math.max(this.acknowledged(key), outcome.revision));
      return outcome;
    } catch (error) {
      if (!(error instanceof MeshError && error.code === "unreachable")) throw error;
      this.commits.push({ transaction, outcome: "unknown" });
      throw error;
    }
  }
}
