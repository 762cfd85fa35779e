import assert from "node:assert/strict";
import fc from "fast-check";
import { Deadlines } from "../../../registry/deadlines.js";
import { FakeClock } from "../../lib/fakeClock.js";

describe("deadlines", () => {
  let clock: FakeClock;
  let due: string[];
  let deadlines: Deadlines;
  beforeEach(() => {
    clock = new FakeClock();
    due = [];
    deadlines = new Deadlines({ clock, resolutionMs: 100, due: (ids) => due.push(...ids) });
  });
  afterEach(() => deadlines[Symbol.dispose]());

  it("ends each at its time, in order, with one timer", async () => {
    for (const [id, ms] of [
      ["c", 300],
      ["a", 100],
      ["b", 200],
    ] as const)
      deadlines.set(id, ms);
    assert.equal(clock.pending, 1);
    await clock.advance(250);
    assert.deepEqual(due, ["a", "b"]);
    await clock.advance(50);
    assert.deepEqual(due, ["a", "b", "c"]);
    assert.equal(clock.pending, 0);
  });

  it("never ends one early, and at most its resolution late", () =>
    fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 5_000 }), { minLength: 1, maxLength: 30 }), fc.nat(99), async (times, offset) => {
        const own = new FakeClock();
        await own.advance(offset);
        const late = new Map<string, number>();
        const started = own.monotonic();
        using many = new Deadlines({
          clock: own,
          resolutionMs: 100,
          due: (ids) => {
            for (const id of ids) late.set(id, own.monotonic() - started - Number(id.split(":")[1]));
          },
        });
        for (const [at, ms] of times.entries()) many.set(`${at}:${ms}`, ms);
        await own.advance(5_200);
        assert.equal(late.size, times.length);
        for (const ms of late.values()) assert.ok(ms >= 0 && ms <= 100, `${ms} ms late`);
      }),
      { numRuns: 20 },
    ));

  it("forgets the old time when a new one is set", async () => {
    deadlines.set("a", 100);
    deadlines.set("a", 1_000);
    await clock.advance(900);
    assert.deepEqual(due, []);
    await clock.advance(100);
    assert.deepEqual(due, ["a"]);
  });

  it("moves a time forward, too", async () => {
    deadlines.set("a", 10_000);
    deadlines.set("a", 100);
    await clock.advance(100);
    assert.deepEqual(due, ["a"]);
  });

  it("says nothing of what was deleted, nor after it was disposed", async () => {
    deadlines.set("a", 100);
    deadlines.set("b", 200);
    deadlines.delete("a");
    await clock.advance(100);
    deadlines[Symbol.dispose]();
    await clock.advance(1_000);
    assert.deepEqual(due, []);
    assert.equal(clock.pending, 0);
  });

  it("waits longer than a timer can", async () => {
    const fifty = 50 * 86_400_000;
    deadlines.set("a", fifty);
    await clock.advance(fifty - 1);
    assert.deepEqual(due, []);
    await clock.advance(1);
    assert.deepEqual(due, ["a"]);
  });
});
