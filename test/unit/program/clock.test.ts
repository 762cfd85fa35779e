import assert from "node:assert/strict";
import type { Clock } from "../../../core/clock.js";
import { systemClock } from "../../../program/clock.js";
import { FakeClock } from "../../lib/fakeClock.js";

function clockCases(name: string, create: () => { clock: Clock; pass: (ms: number) => Promise<unknown> }): void {
  describe(name, () => {
    it("runs a task once after its time, and not when it is forgotten", async () => {
      const { clock, pass } = create();
      const ran: string[] = [];
      clock.after(10, () => ran.push("b"));
      clock.after(1, () => ran.push("a"));
      clock.after(5, () => ran.push("never"))[Symbol.dispose]();
      await pass(30);
      await pass(30);
      assert.deepEqual(ran, ["a", "b"]);
    });

    it("sleeps, and wakes with the signal's reason", async () => {
      const { clock, pass } = create();
      const controller = new AbortController();
      const slept = clock.sleep(5, controller.signal);
      const woken = assert.rejects(clock.sleep(60_000, controller.signal), { message: "enough" });
      await pass(10);
      await slept;
      controller.abort(new Error("enough"));
      await woken;
      await assert.rejects(clock.sleep(1, controller.signal), { message: "enough" });
    });

    it("goes on", async () => {
      const { clock, pass } = create();
      const [now, monotonic] = [clock.now(), clock.monotonic()];
      await pass(5);
      assert.ok(clock.now() - now >= 4 && clock.monotonic() - monotonic >= 4);
    });
  });
}

clockCases("the system's clock", () => ({ clock: systemClock, pass: (ms) => systemClock.sleep(ms, new AbortController().signal) }));
clockCases("a fake clock", () => {
  const clock = new FakeClock();
  return { clock, pass: (ms) => clock.advance(ms) };
});

describe("a fake clock", () => {
  it("gives each task its own moment, also one that a task starts", async () => {
    const clock = new FakeClock(0);
    const at: number[] = [];
    clock.after(10, () => {
      at.push(clock.now());
      clock.after(10, () => at.push(clock.now()));
    });
    await clock.advance(25);
    assert.deepEqual([at, clock.now(), clock.pending], [[10, 20], 25, 0]);
  });
});
