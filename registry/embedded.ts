import { randomUUID } from "node:crypto";
import type { Clock } from "../core/clock.js";
import { MeshError } from "../core/error.js";
import type { Log } from "../core/log.js";
import type { Engine, StoredEntry, Tables } from "./engine.js";
import { History } from "./history.js";
import { Leases } from "./leases.js";
import type { Batch, Change, Committed, Entry, LeaseId, Listing, Revision, Store, StoreAbilities, Transaction, Write } from "./store.js";
import { checkTransaction } from "./transaction.js";

const leaseResolutionMs = 100;
/** Leases that end together are ended this many at a time, so that nothing else waits long. */
const endedAtOnce = 500;
/** A full disk may be emptied. */
const retryEndingMs = 1_000;

export interface EmbeddedParts {
  readonly clock: Clock;
  readonly log: Log;
  /**
   * How long a lease lasts at least after the store was opened (but never longer than its own time): who renews it could not, while the
   * store was down, and comes first.
   */
  readonly graceMs?: number | undefined;
  /** How many changes are remembered for watches. */
  readonly historyLimit?: number | undefined;
  /** And of how many bytes: what comes and goes may be large, and who watches is in this process, never far behind. */
  readonly historyBytes?: number | undefined;
}

/** The store of one process: revisions, leases and watches over an engine that only keeps tables. */
export class EmbeddedStore implements Store {
  readonly abilities: StoreAbilities;
  readonly #engine: Engine;
  readonly #log: Log;
  readonly #history: History;
  readonly #leases: Leases;
  /** Committed, but something before it is not yet known to be. */
  readonly #early = new Map<Revision, readonly Change[]>();
  #open = true;

  constructor(engine: Engine, parts: EmbeddedParts) {
    const { clock, log, graceMs = 15_000, historyLimit = 10_000, historyBytes = 4 << 20 } = parts;
    this.#engine = engine;
    this.#log = log;
    this.abilities = { durable: engine.durable, shared: false, leaseResolutionMs };
    this.#history = new History(engine.revision(), { changes: historyLimit, bytes: historyBytes });
    this.#leases = new Leases({ clock, resolutionMs: leaseResolutionMs, due: (ids) => void this.#endAll(ids) });
    for (const [id, lease] of engine.leases()) this.#leases.resume(id, lease, graceMs);
  }

  async get(key: string): Promise<Entry | undefined> {
    this.#mustBeOpen();
    const stored = this.#engine.read(key);
    return stored && this.#entry(key, stored);
  }

  async list(prefix: string): Promise<Listing> {
    this.#mustBeOpen();
    const { entries, revision } = this.#engine.scan(prefix);
    return { entries: entries.map(([key, stored]) => this.#entry(key, stored)), revision };
  }

  async commit(transaction: Transaction): Promise<Committed> {
    checkTransaction(transaction);
    const { ok, revision } = await this.#transact((tables) => this.#apply(tables, transaction));
    return { ok, revision };
  }

  watch(prefix: string, { after, signal }: { readonly after: Revision; readonly signal: AbortSignal }): AsyncIterable<Batch> {
    return this.#history.watch(prefix, after, signal);
  }

  async grant(ttlMs: number): Promise<LeaseId> {
    this.#mustBeOpen();
    if (!(ttlMs > 0)) throw new MeshError("invalid", `a lease must last longer than 0 ms, got ${ttlMs}`);
    const id = randomUUID();
    // Not written down before something is written with it: a lease that holds nothing need not outlive the process.
    this.#leases.start(id, ttlMs);
    return id;
  }

  async renew(lease: LeaseId): Promise<void> {
    await this.#transact((tables) => {
      const renewed = this.#leases.renew(lease);
      if (tables.keysOf(lease).length > 0) tables.putLease(lease, renewed);
      return unchanged(tables);
    });
  }

  async revoke(lease: LeaseId): Promise<void> {
    await this.#endNow([lease], () => true);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    this.#leases[Symbol.dispose]();
    this.#history.close();
    await this.#engine.close();
  }

  async #transact(work: (tables: Tables) => Outcome): Promise<Outcome> {
    this.#mustBeOpen();
    const outcome = await this.#engine.transact(work).catch((error: unknown) => {
      if (error instanceof MeshError) throw error;
      throw new MeshError("unreachable", `the store in ${this.#engine.place} did not take a change: ${reason(error)}`, { cause: error });
    });
    if (outcome.changes.length > 0) this.#tell(outcome);
    return outcome;
  }

  /** Watches hear of a revision after all before it, whatever the order in which the engine reports them. */
  #tell({ revision, changes }: Outcome): void {
    this.#early.set(revision, changes);
    for (let next = this.#history.revision + 1; ; next++) {
      const ready = this.#early.get(next);
      if (ready === undefined) return;
      this.#early.delete(next);
      this.#history.append(ready);
    }
  }

  #apply(tables: Tables, { conditions = [], writes }: Transaction): Outcome {
    for (const { key, revision } of conditions)
      if ((tables.entry(key)?.revision ?? 0) !== revision) return { ...unchanged(tables), ok: false };
    for (const write of writes) if (write.op === "put" && write.lease !== undefined) this.#leases.get(write.lease);
    const revision = tables.revision() + 1;
    const changes = writes.flatMap((write) => this.#write(tables, write, revision));
    if (changes.length > 0) tables.setRevision(revision);
    return { ok: true, revision: tables.revision(), changes };
  }

  #write(tables: Tables, write: Write, revision: Revision): Change[] {
    const before = tables.entry(write.key);
    if (write.op === "delete") return before === undefined ? [] : [this.#remove(tables, write.key, before, revision)];
    if (before?.lease !== undefined && before.lease !== write.lease) tables.release(before.lease, write.key);
    const stored: StoredEntry = { value: write.value, created: before?.created ?? revision, revision, lease: write.lease };
    tables.putEntry(write.key, stored);
    if (write.lease !== undefined) {
      tables.hold(write.lease, write.key);
      tables.putLease(write.lease, this.#leases.get(write.lease));
    }
    return [{ type: "put", entry: this.#entry(write.key, stored) }];
  }

  #remove(tables: Tables, key: string, before: StoredEntry, revision: Revision): Change {
    if (before.lease !== undefined) tables.release(before.lease, key);
    tables.removeEntry(key);
    return { type: "delete", key, revision };
  }

  /** Ends leases inside one transaction: one revision, however many they are. */
  #end(tables: Tables, leases: readonly LeaseId[]): Outcome {
    const revision = tables.revision() + 1;
    const changes: Change[] = [];
    for (const lease of leases) {
      for (const key of tables.keysOf(lease)) {
        const before = tables.entry(key);
        if (before !== undefined) changes.push(this.#remove(tables, key, before, revision));
      }
      tables.removeLease(lease);
      this.#leases.drop(lease);
    }
    if (changes.length > 0) tables.setRevision(revision);
    return { ok: true, revision: tables.revision(), changes };
  }

  async #endAll(due: readonly LeaseId[]): Promise<void> {
    for (let at = 0; at < due.length && this.#open; at += endedAtOnce) {
      const leases = due.slice(at, at + endedAtOnce);
      // A renewal that was under way when the time came wins.
      await this.#endNow(leases, (lease) => this.#leases.isDue(lease)).catch((error: unknown) => {
        if (this.#open) this.#log.error("leases not ended", { store: this.#engine.place, leases: leases.length, error });
      });
    }
  }

  /** Ends the leases for which `still` says so when their turn comes. If the engine fails they run on, and end a little later. */
  async #endNow(leases: readonly LeaseId[], still: (lease: LeaseId) => boolean): Promise<void> {
    const were = leases.map((lease) => [lease, this.#leases.find(lease)] as const);
    try {
      await this.#transact((tables) => this.#end(tables, leases.filter(still)));
    } catch (error) {
      if (this.#open)
        for (const [id, lease] of were) if (lease !== undefined && !this.#leases.find(id)) this.#leases.resume(id, lease, retryEndingMs);
      throw error;
    }
  }

  #entry(key: string, { value, created, revision, lease }: StoredEntry): Entry {
    return lease === undefined
      ? { key, value, created, revision }
      : { key, value, created, revision, lease, expires: this.#leases.find(lease)?.expires };
  }

  #mustBeOpen(): void {
    if (!this.#open) throw new MeshError("unreachable", `the store in ${this.#engine.place} is closed`);
  }
}

interface Outcome {
  readonly ok: boolean;
  readonly revision: Revision;
  readonly changes: readonly Change[];
}

function unchanged(tables: Tables): Outcome {
  return { ok: true, revision: tables.revision(), changes: [] };
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
