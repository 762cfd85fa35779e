import { type EmbeddedParts, EmbeddedStore } from "./embedded.js";
import type { Engine, StoredEntry, StoredLease, Tables } from "./engine.js";
import type { LeaseId, Revision, Store } from "./store.js";

/** A store that ends with its process: for tests, and for a site that can do without a memory. */
export function openMemoryStore(parts: EmbeddedParts): Store {
  return new EmbeddedStore(new MemoryEngine(), parts);
}

class MemoryEngine implements Engine {
  readonly durable = false;
  readonly place = "memory";
  readonly #entries = new Map<string, StoredEntry>();
  readonly #held = new Map<LeaseId, Set<string>>();
  #revision: Revision = 0;
  readonly #tables: Tables = {
    revision: () => this.#revision,
    setRevision: (revision) => {
      this.#revision = revision;
    },
    entry: (key) => this.#entries.get(key),
    putEntry: (key, entry) => void this.#entries.set(key, entry),
    removeEntry: (key) => void this.#entries.delete(key),
    putLease: () => {},
    removeLease: (id) => void this.#held.delete(id),
    keysOf: (lease) => [...(this.#held.get(lease) ?? [])],
    hold: (lease, key) => {
      const keys = this.#held.get(lease);
      if (keys === undefined) this.#held.set(lease, new Set([key]));
      else keys.add(key);
    },
    release: (lease, key) => void this.#held.get(lease)?.delete(key),
  };

  // Its transactions end before they return, so they need no undoing: whatever throws in one throws before the first write.
  async transact<T>(work: (tables: Tables) => T): Promise<T> {
    return work(this.#tables);
  }

  revision(): Revision {
    return this.#revision;
  }

  read(key: string): StoredEntry | undefined {
    return this.#entries.get(key);
  }

  scan(prefix: string): { readonly entries: readonly (readonly [string, StoredEntry])[]; readonly revision: Revision } {
    const entries = [...this.#entries].filter(([key]) => key.startsWith(prefix));
    return { entries: entries.sort(([a], [b]) => (a < b ? -1 : 1)), revision: this.#revision };
  }

  *leases(): Iterable<readonly [LeaseId, StoredLease]> {
    // Nothing is left of an earlier process.
  }

  async close(): Promise<void> {
    this.#entries.clear();
    this.#held.clear();
  }
}
