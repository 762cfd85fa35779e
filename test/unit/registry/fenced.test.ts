import assert from "node:assert/strict";
import { MeshError } from "../../../core/error.js";
import { silent } from "../../../core/log.js";
import { fenced } from "../../../registry/fenced.js";
import { openMemoryStore } from "../../../registry/memory.js";
import type { Committed, Entry, Store, Transaction, Write } from "../../../registry/store.js";
import { FakeClock } from "../../lib/fakeClock.js";
import { refused } from "./site.js";

/** A store whose first `times` commits end without an answer, after or before they happened. */
function losing(times: number, happened: boolean): Store {
  const store = openMemoryStore({ clock: new FakeClock(), log: silent });
  const commit = store.commit.bind(store);
  store.commit = async (transaction: Transaction): Promise<Committed> => {
    const lost = times-- > 0;
    if (!lost || happened) await commit(transaction);
    if (lost) throw new MeshError("unreachable", "no answer");
    return { ok: true, revision: (await store.list("")).revision };
  };
  return store;
}

function putBy(seen: (string | undefined)[]) {
  return (found: Entry | undefined): Write => {
    seen.push(found && Buffer.from(found.value).toString());
    return { op: "put", key: "a", value: Buffer.from("mine") };
  };
}

describe("a fenced write", () => {
  for (const [words, happened, seen] of [
    ["looks again when nobody knows whether it happened, and sees that it did", true, [undefined, "mine"]],
    ["looks again when nobody knows whether it happened, and sees that it did not", false, [undefined, undefined]],
  ] as const)
    it(words, async () => {
      await using store = losing(1, happened);
      const found: (string | undefined)[] = [];
      assert.equal(await fenced(store, "a", putBy(found)), happened ? 2 : 1);
      assert.deepEqual(found, seen);
    });

  it("gives up when the store answers no commit", async () => {
    await using store = losing(3, false);
    const found: (string | undefined)[] = [];
    await refused("unreachable", () => fenced(store, "a", putBy(found)), /no answer/);
    assert.equal(found.length, 3);
  });
});
