import assert from "node:assert/strict";
import type { Committed, Store, Transaction, Write } from "../../../registry/store.js";
import { check } from "../../suite/history/check.js";
import type { Segment } from "../../suite/history/observer.js";
import { Record } from "../../suite/history/record.js";

/** The checker of the randomized tests has to find what is wrong, or those could not fail. */
describe("the check of a history", () => {
  let record: Record;
  beforeEach(async () => {
    record = new Record();
    await acknowledged(1, put("a", "alice#1"));
    await acknowledged(2, put("b", "bob#1"));
    await acknowledged(3, del("a"));
  });

  const put = (key: string, value: string): Write => ({ op: "put", key, value: Buffer.from(value) });
  const del = (key: string): Write => ({ op: "delete", key });
  const acknowledged = async (revision: number, ...writes: Write[]) => {
    const store = { commit: async (_: Transaction): Promise<Committed> => ({ ok: true, revision }) } as Store;
    await record.on(store).commit({ writes });
  };
  const watched = (...seen: [revision: number, key: string, value: string | undefined][]): Segment => ({
    start: { revision: 0, entries: new Map() },
    seen: seen.map(([revision, key, value]) => ({ revision, key, value, at: 0 })),
  });
  const found = (...segments: Segment[]) => check(record, segments);

  const whole = () => watched([1, "a", "alice#1"], [2, "b", "bob#1"], [3, "a", undefined]);

  it("passes one that is right", () => {
    record.reads.push({ key: "a", atLeast: 3, found: undefined }, { key: "b", atLeast: 2, found: { value: "bob#1", revision: 2 } });
    assert.deepEqual(found(whole()), []);
  });

  it("finds what a watch left out, told twice, out of order, or otherwise than others", () => {
    assert.match(found(watched([1, "a", "alice#1"], [3, "a", undefined])).join(), /left out b at revision 2/);
    assert.match(found(watched([1, "a", "alice#1"], [1, "a", "alice#1"])).join(), /told a at revision 1 twice/);
    assert.match(found(watched([2, "b", "bob#1"], [1, "a", "alice#1"])).join(), /told revision 1 after 2/);
    assert.match(found(whole(), watched([1, "a", "alice#2"])).join(), /a at revision 1 is told as alice#1 and as alice#2/);
  });

  it("finds an acknowledged registration that a listing does not have", () => {
    const start = { revision: 2, entries: new Map([["a", "alice#1"]]) };
    assert.match(found(whole(), { start, seen: [] }).join(), /the listing at revision 2 has b=undefined, but it was bob#1/);
  });

  it("finds a name that was taken from its owner", async () => {
    await acknowledged(4, put("b", "alice#2"));
    assert.match(found(whole()).join(), /b of bob#1 was taken by alice#2 at revision 4/);
  });

  it("finds what nobody wrote, nobody deleted, or happened twice", () => {
    assert.match(found(watched([4, "c", "eve#1"])).join(), /c=eve#1 is there at revision 4, but its client was told otherwise/);
    assert.match(found(watched([4, "b", undefined])).join(), /b vanished at revision 4, and nobody deleted it/);
    assert.match(found(watched([4, "b", "bob#1"])).join(), /b=bob#1 happened twice/);
  });

  it("finds a lease that ended early", async () => {
    record.leases.set("bob#1", { granted: 0, ttlMs: 1_000 });
    assert.match(found(watched([4, "b", undefined])).join(), /the lease of b ended early, at revision 4/);
  });

  it("finds a read that is older than what was acknowledged before it", () => {
    record.reads.push({ key: "b", atLeast: 2, found: undefined }, { key: "a", atLeast: 3, found: { value: "alice#1", revision: 1 } });
    assert.match(found(whole()).join(), /a read found no b, .* at revision 2,a read found a of revision 1, after 3/);
  });
});
