import assert from "node:assert/strict";
import { silent } from "../../../core/log.js";
import { openMemoryStore } from "../../../registry/memory.js";
import { Compacted, type Revision, type Store } from "../../../registry/store.js";
import { FakeClock } from "../../lib/fakeClock.js";

const kilobyte = 1024;

/** Whether a watch can still begin after that revision. */
async function reaches(store: Store, after: Revision): Promise<boolean> {
  const stop = new AbortController();
  try {
    for await (const batch of store.watch("", { after, signal: stop.signal })) return batch.changes.length > 0;
    return false;
  } catch (error) {
    if (error instanceof Compacted) return false;
    throw error;
  } finally {
    stop.abort();
  }
}

describe("what a store remembers for watches", () => {
  const write = async (store: Store, count: number, bytes: number): Promise<Revision> => {
    let last = 0;
    for (let at = 0; at < count; at++)
      last = (await store.commit({ writes: [{ op: "put", key: `a/${at}`, value: Buffer.alloc(bytes) }] })).revision;
    return last;
  };

  it("is so many changes while they are small, and fewer when they are large", async () => {
    const parts = { clock: new FakeClock(), log: silent, historyLimit: 100, historyBytes: 100 * kilobyte };
    await using small = openMemoryStore(parts);
    const last = await write(small, 300, 10);
    assert.equal(await reaches(small, last - 100), true);
    assert.equal(await reaches(small, last - 250), false);
    await using large = openMemoryStore(parts);
    const end = await write(large, 300, 10 * kilobyte);
    assert.equal(await reaches(large, end - 9), true);
    assert.equal(await reaches(large, end - 30), false);
  });

  it("is at least the last change, however large", async () => {
    await using store = openMemoryStore({ clock: new FakeClock(), log: silent, historyBytes: kilobyte });
    const last = await write(store, 3, 10 * kilobyte);
    assert.equal(await reaches(store, last - 1), true);
    assert.equal(await reaches(store, last - 2), false);
  });
});
