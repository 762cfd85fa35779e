import assert from "node:assert/strict";
import { type Log, silent } from "../../../../core/log.js";
import type { MemberCounters } from "../../../../forwarder/segments/local.js";
import { Misdeeds } from "../../../../forwarder/segments/misdeeds.js";
import { Pulse } from "../../../../forwarder/segments/pulse.js";
import { FakeClock } from "../../../lib/fakeClock.js";

describe("the pulse of a segment's nodes", () => {
  it("tells of a node that misses two echoes within three seconds, and of its return", async () => {
    const clock = new FakeClock();
    const told: string[] = [];
    const away = new Set<string>();
    const reaches = async (tunnel: string) => !away.has(tunnel);
    using pulse = new Pulse({
      ...{ reaches, clock, log: silent, nodes: () => ["fd00::2", "fd00::3"] },
      onChange: (tunnel, alive) => void told.push(`${tunnel} ${alive}`),
    });
    await clock.advance(5_000);
    assert.deepEqual(told, []);
    away.add("fd00::3");
    await clock.advance(900);
    assert.equal(pulse.answers("fd00::3"), true, "one may be lost");
    await clock.advance(2_000);
    assert.deepEqual(told, ["fd00::3 false"]);
    assert.deepEqual([pulse.answers("fd00::2"), pulse.answers("fd00::3")], [true, false]);
    away.clear();
    await clock.advance(1_000);
    assert.deepEqual(told, ["fd00::3 false", "fd00::3 true"]);
  });
});

describe("what members send that is dropped", () => {
  it("is told in the log with the member's name, as long as there is more of it", async () => {
    const clock = new FakeClock();
    const lines: string[] = [];
    const log: Log = { ...silent, warn: (event, fields) => void lines.push(`${event.split(" ")[1]} ${fields?.member} ${fields?.dropped}`) };
    let flooded = 0;
    const none = { rxBytes: 0, txBytes: 0, rxPackets: 0, txPackets: 0, drops: 0 };
    const look = async (): Promise<MemberCounters[]> => [{ segment: "floor", name: "loop", id: "1", counters: { ...none, flooded } }];
    using _misdeeds = new Misdeeds({ look, onChange: () => {}, clock, log });
    await clock.advance(10_000);
    flooded = 500;
    await clock.advance(20_000);
    flooded = 700;
    await clock.advance(10_000);
    assert.deepEqual(lines, ["sends loop 500", "sends loop 200"]);
  });

  it("is remembered as long as it lasts, and a minute longer", async () => {
    const clock = new FakeClock(0);
    let counters: Partial<MemberCounters["counters"]> = { flooded: 500, spoofed: 3 };
    const none = { rxBytes: 0, txBytes: 0, rxPackets: 0, txPackets: 0, drops: 0 };
    const there = new Set(["floor"]);
    const look = async () =>
      [...there].map((segment): MemberCounters => ({ segment, name: "loop", id: "1", counters: { ...none, ...counters } }));
    let changes = 0;
    using misdeeds = new Misdeeds({ look, onChange: () => void changes++, clock, log: silent });
    await misdeeds.begin();
    await clock.advance(10_000);
    assert.deepEqual([misdeeds.of("floor"), changes], [[], 0], "an earlier run has said it");
    counters = { flooded: 900, spoofed: 3 };
    await clock.advance(10_000);
    counters = { flooded: 1_000, spoofed: 3 };
    await clock.advance(10_000);
    const brief = () => misdeeds.of("floor").map(({ member, kind, sinceMs, dropped }) => `${member} ${kind} ${sinceMs} ${dropped}`);
    assert.deepEqual([brief(), changes], [["loop flooded 20000 500"], 2]);
    assert.deepEqual(misdeeds.of("other"), []);
    await clock.advance(50_000);
    assert.equal(brief().length, 1);
    await clock.advance(10_000);
    assert.deepEqual(brief(), []);
    // The kernel has forgotten, and counts anew.
    counters = { flooded: 7 };
    await clock.advance(10_000);
    assert.deepEqual(brief(), ["loop flooded 100000 7"]);
    there.clear();
    await clock.advance(10_000);
    assert.deepEqual(brief(), [], "it has gone");
  });
});
