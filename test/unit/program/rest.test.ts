import assert from "node:assert/strict";
import { Rest } from "../../../program/rest.js";
import { FakeClock } from "../../lib/fakeClock.js";

describe("a program at rest", () => {
  it("saves memory until it is busy, and again when it has come to rest", async () => {
    const clock = new FakeClock();
    const said: boolean[] = [];
    let worked = 10_000;
    const rest = new Rest({ clock, worked: () => worked, save: (on) => void said.push(on) });
    /** Five seconds, in which it works for `ms`. */
    const passes = async (ms: number) => {
      worked += ms;
      await clock.advance(5_000);
    };
    await passes(1_000);
    assert.deepEqual(said, [], "it starts");
    await passes(999);
    assert.deepEqual(said, [true]);
    await passes(0);
    assert.deepEqual(said, [true], "it is told once");
    await passes(4_000);
    assert.deepEqual(said, [true, false]);
    await passes(100);
    assert.deepEqual(said, [true, false, true]);
    rest[Symbol.dispose]();
    assert.equal(clock.pending, 0);
  });
});
