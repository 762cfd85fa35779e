import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Database, open, type RootDatabase } from "lmdb";
import { MeshError } from "../core/error.js";
import { type EmbeddedParts, EmbeddedStore } from "./embedded.js";
import type { Engine, StoredEntry, StoredLease, Tables } from "./engine.js";
import { isRunning, thisProcess } from "./holder.js";
import type { LeaseId, Revision, Store } from "./store.js";

const format = 1;
/** Sorts after every character that a key can have. */
const afterAll = "\u{10ffff}";

/**
 * The store in the folder `stateDir`, made if absent (mode 0700). A commit is on the disk, and synced, before it is acknowledged.
 * Throws "invalid" when the folder cannot be used, "exists" when another process uses it.
 */
export function openLmdbStore(stateDir: string, parts: EmbeddedParts): Store {
  return new EmbeddedStore(openEngine(join(stateDir, "store")), parts);
}

function openEngine(folder: string): LmdbEngine {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return new LmdbEngine(folder);
  } catch (error) {
    if (error instanceof MeshError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new MeshError("invalid", `cannot keep a store in ${folder}: ${reason}; choose another folder with NSM_STATE_DIR`, {
      cause: error,
    });
  }
}

class LmdbEngine implements Engine {
  readonly durable = true;
  readonly place: string;
  readonly #root: RootDatabase;
  readonly #facts: Database<number | string, string>;
  readonly #entries: Database<StoredEntry, string>;
  readonly #leases: Database<StoredLease, LeaseId>;
  /** One row for each key that a lease holds. */
  readonly #held: Database<true, [LeaseId, string]>;
  readonly #tables: Tables;

  constructor(folder: string) {
    this.place = folder;
    // Not overlapping: a commit resolves when it is synced, so what was acknowledged also survives a power cut.
    this.#root = open({ path: folder, maxDbs: 8, overlappingSync: false });
    this.#facts = this.#root.openDB({ name: "facts" });
    this.#entries = this.#root.openDB({ name: "entries" });
    this.#leases = this.#root.openDB({ name: "leases" });
    this.#held = this.#root.openDB({ name: "held" });
    this.#tables = this.#tablesOf();
    try {
      this.#root.transactionSync(() => this.#take());
    } catch (error) {
      void this.#root.close();
      throw error;
    }
  }

  transact<T>(work: (tables: Tables) => T): Promise<T> {
    return this.#root.transaction(() => work(this.#tables));
  }

  revision(): Revision {
    return Number(this.#facts.get("revision") ?? 0);
  }

  read(key: string): StoredEntry | undefined {
    return this.#entries.get(key);
  }

  scan(prefix: string): { readonly entries: readonly (readonly [string, StoredEntry])[]; readonly revision: Revision } {
    const rows = this.#entries.getRange({ start: prefix, end: prefix + afterAll });
    return { entries: [...rows].map(({ key, value }) => [key, value] as const), revision: this.revision() };
  }

  *leases(): Iterable<readonly [LeaseId, StoredLease]> {
    for (const { key, value } of this.#leases.getRange()) yield [key, value];
  }

  async close(): Promise<void> {
    await this.#facts.remove("holder");
    await this.#root.close();
  }

  #tablesOf(): Tables {
    return {
      revision: () => this.revision(),
      setRevision: (revision) => void this.#facts.put("revision", revision),
      entry: (key) => this.#entries.get(key),
      putEntry: (key, entry) => void this.#entries.put(key, entry),
      removeEntry: (key) => void this.#entries.remove(key),
      putLease: (id, lease) => void this.#leases.put(id, lease),
      removeLease: (id) => void this.#leases.remove(id),
      keysOf: (lease) => [...this.#held.getKeys({ start: [lease, ""], end: [lease, afterAll] })].map(([, key]) => key),
      hold: (lease, key) => void this.#held.put([lease, key], true),
      release: (lease, key) => void this.#held.remove([lease, key]),
    };
  }

  /** LMDB would let two processes write; watches and leases live in one. */
  #take(): void {
    const found = this.#facts.get("format") ?? format;
    if (found !== format)
      throw new MeshError("invalid", `the store in ${this.place} has format ${found}, this program knows ${format}; move the folder away`);
    const holder = this.#facts.get("holder");
    if (typeof holder === "string" && isRunning(holder))
      throw new MeshError(
        "exists",
        `the store in ${this.place} is used by process ${holder.split(" ")[1]}; stop it or choose another NSM_STATE_DIR`,
      );
    this.#facts.putSync("format", format);
    this.#facts.putSync("holder", thisProcess());
  }
}
