import assert from "node:assert/strict";
import { MeshError } from "../../core/error.js";
import {
  type Batch,
  type Change,
  Compacted,
  type LeaseId,
  type Revision,
  type Store,
  transactionLimit,
  type Write,
} from "../../registry/store.js";

/** A store to test, empty, and what the suite needs besides. */
export interface StoreUnderTest extends AsyncDisposable {
  readonly store: Store;
  /** Makes the store's time pass. */
  pass(ms: number): Promise<void>;
  /** Makes the store forget its history up to `revision`. */
  compact(revision: Revision): Promise<void>;
}

/** The contract of every store: run by each implementation. */
export function storeSuite(name: string, create: () => Promise<StoreUnderTest>): void {
  describe(`the store contract: ${name}`, () => {
    let test: StoreUnderTest;
    let store: Store;
    beforeEach(async () => {
      test = await create();
      store = test.store;
    });
    afterEach(() => test[Symbol.asyncDispose]());

    describe("keys", () => keys(() => store));
    describe("transactions", () => transactions(() => store));
    describe("leases", () => leases(() => test));
    describe("watches", () => watches(() => test));

    it("refuses everything with unreachable once it is closed", async () => {
      const watching = rejects("unreachable", collect(store, "", 0, 1).done);
      await store[Symbol.asyncDispose]();
      await watching;
      await rejects("unreachable", store.get("a"));
      await rejects("unreachable", store.list("a"));
      await rejects("unreachable", store.commit({ writes: [put("a")] }));
      await rejects("unreachable", store.grant(1_000));
    });
  });
}

function keys(store: () => Store): void {
  it("starts empty at revision 0", async () => {
    assert.deepEqual(await store().list(""), { entries: [], revision: 0 });
    assert.equal(await store().get("a"), undefined);
  });

  it("gives back what was put, with the revisions of its birth and of its last change", async () => {
    await store().commit({ writes: [put("a", "1")] });
    await store().commit({ writes: [put("b", "2")] });
    await store().commit({ writes: [put("a", "3")] });
    assert.equal(text(await store().get("a")), "a=3 created 1 revision 3");
    assert.equal(text(await store().get("b")), "b=2 created 2 revision 2");
  });

  it("makes a key anew when it was deleted in between", async () => {
    await store().commit({ writes: [put("a", "1")] });
    await store().commit({ writes: [del("a")] });
    assert.equal(await store().get("a"), undefined);
    await store().commit({ writes: [put("a", "2")] });
    assert.equal(text(await store().get("a")), "a=2 created 3 revision 3");
  });

  it("lists by prefix, in order, and nothing beside it", async () => {
    await store().commit({ writes: ["p/b", "p", "p/ä", "q/a", "p/a", "p0"].map((key) => put(key)) });
    const { entries, revision } = await store().list("p/");
    assert.deepEqual([entries.map(({ key }) => key), revision], [["p/a", "p/b", "p/ä"], 1]);
  });

  it("keeps values apart that are read one after another", async () => {
    await store().commit({ writes: [put("a", "first"), put("b", "second")] });
    const [a, b] = [await store().get("a"), await store().get("b")];
    assert.deepEqual([text(a), text(b)], ["a=first created 1 revision 1", "b=second created 1 revision 1"]);
  });

  it("keeps any bytes, and none", async () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, at) => at);
    const writes: Write[] = [
      { op: "put", key: "all", value: bytes },
      { op: "put", key: "none", value: new Uint8Array() },
    ];
    await store().commit({ writes });
    assert.deepEqual(Uint8Array.from((await store().get("all"))?.value ?? []), bytes);
    assert.equal((await store().get("none"))?.value.byteLength, 0);
  });
}

function transactions(store: () => Store): void {
  it("writes everything at one revision", async () => {
    assert.deepEqual(await store().commit({ writes: [put("a"), put("b")] }), { ok: true, revision: 1 });
    assert.equal((await store().get("b"))?.revision, 1);
  });

  it("writes nothing when one condition does not hold", async () => {
    await store().commit({ writes: [put("a", "1")] });
    const conditions = [
      { key: "a", revision: 1 },
      { key: "b", revision: 1 },
    ];
    assert.deepEqual(await store().commit({ conditions, writes: [put("a", "2"), put("c")] }), { ok: false, revision: 1 });
    assert.equal(text(await store().get("a")), "a=1 created 1 revision 1");
    assert.equal(await store().get("c"), undefined);
  });

  it("takes revision 0 as: it is not there", async () => {
    const absent = { conditions: [{ key: "a", revision: 0 }], writes: [put("a")] };
    assert.equal((await store().commit(absent)).ok, true);
    assert.equal((await store().commit(absent)).ok, false);
  });

  it("lets one of many win that were fenced by the same revision", async () => {
    await store().commit({ writes: [put("a", "0")] });
    const attempts = Array.from({ length: 20 }, (_, at) =>
      store().commit({ conditions: [{ key: "a", revision: 1 }], writes: [put("a", `${at}`)] }),
    );
    assert.equal((await Promise.all(attempts)).filter(({ ok }) => ok).length, 1);
    assert.equal((await store().get("a"))?.revision, 2);
  });

  it("changes nothing by deleting what is not there", async () => {
    assert.deepEqual(await store().commit({ writes: [del("a")] }), { ok: true, revision: 0 });
  });

  it("refuses what can never work, and goes on", async () => {
    const many = Array.from({ length: transactionLimit + 1 }, (_, at) => put(`k${at}`));
    await rejects("invalid", store().commit({ writes: many }));
    await rejects("invalid", store().commit({ writes: [put("a"), del("a")] }));
    await rejects("invalid", store().commit({ writes: [put("")] }));
    await rejects("invalid", store().commit({ writes: [put("a\u0000b")] }));
    await rejects("invalid", store().commit({ writes: [put("x".repeat(3_000))] }));
    await rejects("invalid", store().commit({ writes: [{ op: "put", key: "a", value: new Uint8Array(2 << 20) }] }));
    const bad = rejects("not-found", store().commit({ writes: [put("a", "1", "no such lease")] }));
    assert.deepEqual(await store().commit({ writes: [put("b")] }), { ok: true, revision: 1 });
    await bad;
    assert.equal(await store().get("a"), undefined);
  });
}

function leases(test: () => StoreUnderTest): void {
  const store = () => test().store;
  const late = () => store().abilities.leaseResolutionMs;

  it("deletes what was written with a lease when it ends, not before, and tells watches", async () => {
    const lease = await store().grant(2_000);
    await store().commit({ writes: [put("a", "1", lease), put("b", "2", lease), put("c")] });
    await test().pass(1_500);
    assert.equal((await store().get("a"))?.lease, lease);
    const watch = collect(store(), "", 1, 2);
    await test().pass(500 + late());
    assert.deepEqual(await watch.done, ["delete a 2", "delete b 2"]);
    assert.deepEqual((await store().list("")).entries.map(text), ["c= created 1 revision 1"]);
  });

  it("lasts longer when it is renewed", async () => {
    const lease = await store().grant(2_000);
    await store().commit({ writes: [put("a", "1", lease)] });
    await test().pass(1_500);
    await store().renew(lease);
    await test().pass(1_500);
    assert.equal((await store().get("a"))?.revision, 1);
    const watch = collect(store(), "", 1, 1);
    await test().pass(500 + late());
    assert.deepEqual(await watch.done, ["delete a 2"]);
  });

  it("lets go of a key that was written again without it, or with another", async () => {
    const [first, second] = [await store().grant(1_000), await store().grant(60_000)];
    await store().commit({ writes: ["a", "b", "c"].map((key) => put(key, "1", first)) });
    await store().commit({ writes: [put("a", "2"), put("b", "2", second)] });
    const watch = collect(store(), "", 2, 1);
    await test().pass(1_000 + late());
    assert.deepEqual(await watch.done, ["delete c 3"]);
    assert.deepEqual(
      (await store().list("")).entries.map(({ key }) => key),
      ["a", "b"],
    );
  });

  it("takes its keys along when it is revoked", async () => {
    const lease = await store().grant(60_000);
    await store().commit({ writes: [put("a", "1", lease)] });
    await store().revoke(lease);
    assert.equal(await store().get("a"), undefined);
    await store().revoke(lease);
  });

  it("says when a key will end, where it knows", async () => {
    const lease = await store().grant(5_000);
    await store().commit({ writes: [put("a", "1", lease)] });
    const before = (await store().get("a"))?.expires;
    await test().pass(1_000);
    await store().renew(lease);
    const after = (await store().get("a"))?.expires;
    if (before !== undefined && after !== undefined) assert.ok(after >= before + 1_000, `${before} then ${after}`);
  });

  it("refuses to renew or use what has ended, and times that are none", async () => {
    await rejects("not-found", store().renew("no such lease"));
    const lease = await store().grant(1_000);
    await store().revoke(lease);
    await rejects("not-found", store().renew(lease));
    await rejects("not-found", store().commit({ writes: [put("a", "1", lease)] }));
    for (const ttl of [0, -1, Number.NaN]) await rejects("invalid", store().grant(ttl));
  });
}

function watches(test: () => StoreUnderTest): void {
  const store = () => test().store;

  it("tells every change in order, and puts and deletes of one key each", async () => {
    const watch = collect(store(), "", 0, 4);
    await store().commit({ writes: [put("a", "1"), put("b", "2")] });
    await store().commit({ writes: [del("a")] });
    await store().commit({ writes: [put("a", "3")] });
    assert.deepEqual(await watch.done, [
      "put a=1 created 1 revision 1",
      "put b=2 created 1 revision 1",
      "delete a 2",
      "put a=3 created 3 revision 3",
    ]);
  });

  it("resumes after a revision and neither repeats nor leaves out", async () => {
    for (let at = 1; at <= 5; at++) await store().commit({ writes: [put("a", `${at}`)] });
    const watch = collect(store(), "a", 3, 3);
    await store().commit({ writes: [put("a", "6")] });
    assert.deepEqual(
      await watch.done,
      [4, 5, 6].map((at) => `put a=${at} created 1 revision ${at}`),
    );
  });

  it("tells only what starts with the prefix", async () => {
    const watch = collect(store(), "b/", 0, 1);
    await store().commit({ writes: [put("a/1"), put("b"), put("c")] });
    await store().commit({ writes: [put("b/1")] });
    assert.deepEqual(await watch.done, ["put b/1= created 2 revision 2"]);
  });

  it("joins a list without a gap while others write", async () => {
    const writing = Promise.all(Array.from({ length: 50 }, (_, at) => store().commit({ writes: [put(`k${at}`)] })));
    const { entries, revision } = await store().list("k");
    const watch = collect(store(), "k", revision, 50 - entries.length);
    await writing;
    const seen = [...entries.map(({ key }) => key), ...(await watch.done).map((line) => line.split(/[ =]/)[1] ?? "")];
    assert.deepEqual(seen.sort(), Array.from({ length: 50 }, (_, at) => `k${at}`).sort());
  });

  it("never splits a revision over two batches", async () => {
    const stop = new AbortController();
    const batches: Batch[] = [];
    const reading = (async () => {
      for await (const batch of store().watch("", { after: 0, signal: stop.signal })) {
        batches.push(batch);
        if (batch.revision === 10) break;
      }
    })();
    for (let at = 0; at < 10; at++) await store().commit({ writes: [put("a"), put("b"), put("c")] });
    await reading;
    for (const { changes, revision } of batches) {
      assert.equal(changes.length % 3, 0);
      const last = changes.at(-1);
      assert.equal(last?.type === "put" ? last.entry.revision : last?.revision, revision);
    }
  });

  it("holds up nobody while one reader stands still", async () => {
    const slow = store()
      .watch("", { after: 0, signal: AbortSignal.timeout(9_000) })
      [Symbol.asyncIterator]();
    await store().commit({ writes: [put("a", "0")] });
    await slow.next();
    const quick = collect(store(), "", 1, 20);
    for (let at = 1; at <= 20; at++) await store().commit({ writes: [put("a", `${at}`)] });
    assert.equal((await quick.done).length, 20);
    const rest: Change[] = [];
    while (rest.length < 20) rest.push(...((await slow.next()).value as Batch).changes);
    assert.deepEqual(
      rest.map((change) => (change.type === "put" ? text(change.entry) : "")),
      Array.from({ length: 20 }, (_, at) => `a=${at + 1} created 1 revision ${at + 2}`),
    );
    await slow.return?.();
  });

  it("ends without an error with its signal, before or while it waits", async () => {
    const stop = new AbortController();
    const waiting = collect(store(), "", 0, 1, stop.signal);
    stop.abort();
    assert.deepEqual(await waiting.done, []);
    assert.deepEqual(await collect(store(), "", 0, 1, stop.signal).done, []);
  });

  it("says compacted, and from where one can start, when the history is gone", async () => {
    for (let at = 1; at <= 5; at++) await store().commit({ writes: [put("a", `${at}`)] });
    await test().compact(4);
    const { entries, revision } = await store().list("");
    const error = await collect(store(), "", 1, 1).done.catch((caught: unknown) => caught);
    assert.ok(error instanceof Compacted && error.code === "conflict");
    assert.ok(error.oldest >= 4 && error.oldest <= revision);
    assert.deepEqual(
      entries.map(({ key }) => key).filter((key) => key === "a"),
      ["a"],
    );
    await store().commit({ writes: [put("b")] });
    assert.deepEqual(await collect(store(), "b", revision, 1).done, [`put b= created ${revision + 1} revision ${revision + 1}`]);
  });
}

function put(key: string, value = "", lease?: LeaseId): Write {
  return { op: "put", key, value: Buffer.from(value), lease };
}

function del(key: string): Write {
  return { op: "delete", key };
}

/** Reads `count` changes as lines; the reading starts at once. */
function collect(store: Store, prefix: string, after: Revision, count: number, signal = AbortSignal.timeout(9_000)) {
  const read = async () => {
    const lines: string[] = [];
    if (count === 0) return lines;
    for await (const { changes } of store.watch(prefix, { after, signal })) {
      for (const change of changes)
        lines.push(change.type === "put" ? `put ${text(change.entry)}` : `delete ${change.key} ${change.revision}`);
      if (lines.length >= count) break;
    }
    return lines;
  };
  return { done: read() };
}

function text(entry: { key: string; value: Uint8Array; created: number; revision: number } | undefined): string {
  if (entry === undefined) return "absent";
  return `${entry.key}=${Buffer.from(entry.value).toString()} created ${entry.created} revision ${entry.revision}`;
}

async function rejects(code: string, promise: Promise<unknown>): Promise<void> {
  await assert.rejects(promise, (error) => error instanceof MeshError && error.code === code);
}
