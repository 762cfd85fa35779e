import assert from "node:assert/strict";
import { silent } from "../../../../core/log.js";
import type { BehindHost, SegmentMember } from "../../../../core/segment/membership.js";
import { Behind } from "../../../../forwarder/segments/behind.js";
import { contestBehind } from "../../../../forwarder/segments/behindContest.js";
import type { Remote } from "../../../../forwarder/segments/part.js";
import { FakeMachine } from "../../../../kernel/fake/machine.js";
import { FakeKernel } from "../../../../kernel/fake.js";
import { FakeClock } from "../../../lib/fakeClock.js";
import { port } from "../../../suite/kernel.js";

const macOf = (host: number) => `02:00:00:00:01:${host.toString(16).padStart(2, "0")}`;
const idOf = (node: string) => `spiffe://paris/node/${node}/forwarder`;
const bridge = { bridge: "br-1", flood: false, learning: true, neighSuppress: false, isolated: false, multicastRouter: false };

/** A member with a port that learns, and what is told of it: one text each time, as `1/1 2/1` for two hosts. */
function world(told: (mac: string) => number = () => 0) {
  const machine = new FakeMachine();
  machine.settle({ kind: "bridge", name: "br-1", alias: "", mac: "", mtu: 1400, multicastSnooping: true, querier: true });
  machine.settle({ ...port("p-a", machine.addPod("a")), bridge });
  const clock = new FakeClock();
  const heard: string[] = [];
  const behind = new Behind({
    ...{ kernel: new FakeKernel(machine), clock, log: silent, segment: "floor", told },
    ports: () => new Map([["p-a", "a"]]),
    onChange: (ids) => void heard.push(ids.map((id) => `${id}: ${textOf(behind.of(id))}`).join()),
  });
  const speak = (...hosts: number[]) => hosts.map(macOf).forEach((mac) => void machine.speak("p-a", mac));
  return { machine, clock, heard, behind, speak };
}

function textOf(hosts: readonly BehindHost[]): string {
  return hosts.map(({ mac, sequence }) => `${Number.parseInt(mac.slice(-2), 16)}/${sequence}`).join(" ");
}

describe("hosts behind a member", () => {
  it("are told of as they are learned and forgotten, those that come together at once, and not too often", async () => {
    const { machine, clock, heard, behind, speak } = world();
    await using _ = behind;
    speak(2, 1);
    await clock.advance(20);
    assert.deepEqual(heard, ["a: 1/1 2/1"]);
    speak(3);
    await clock.advance(400);
    assert.deepEqual(heard.slice(1), [], "the last word was a moment ago");
    await clock.advance(100);
    assert.deepEqual(heard.slice(1), ["a: 1/1 2/1 3/1"]);
    machine.forget(macOf(2));
    await clock.advance(500);
    assert.deepEqual(heard.slice(2), ["a: 1/1 3/1"]);
    machine.removeDevice("p-a");
    await clock.advance(500);
    assert.deepEqual(heard.slice(3), ["a: "]);
  });

  it("are no news where the same are there", async () => {
    const { machine, clock, heard, behind, speak } = world();
    await using _ = behind;
    speak(1);
    await behind.start();
    machine.tell({ kind: "learned", device: "p-a" });
    machine.tell({ kind: "resync" });
    await clock.advance(1_000);
    assert.deepEqual([heard, textOf(behind.of("a"))], [[], "1/1"]);
  });

  it("come with a higher number than whoever had them, and keep it", async () => {
    let told = 4;
    const { clock, behind, speak } = world(() => told);
    await using _ = behind;
    speak(1);
    await clock.advance(20);
    assert.equal(textOf(behind.of("a")), "1/5");
    told = 7;
    speak(2);
    await clock.advance(500);
    assert.equal(textOf(behind.of("a")), "1/5 2/8");
  });

  it("are told of up to a number, those that were there first", async () => {
    const { clock, behind, speak } = world();
    await using _ = behind;
    speak(200);
    await clock.advance(20);
    speak(...Array.from({ length: 100 }, (_, at) => at));
    await clock.advance(500);
    assert.deepEqual([behind.of("a").length, behind.of("a")[0]?.mac], [64, macOf(200)]);
  });
});

describe("two nodes that say that they have a host behind a member", () => {
  /** What counts on node `b` of `a: 1/2`, the host 1 under the number 2 behind a member of `a`. */
  function counted(others: Record<string, string>, own = "", macs: readonly string[] = []): string[] {
    const hosts = (text: string): BehindHost[] =>
      text.split(" ").flatMap((word) => {
        const [host, sequence] = word.split("/").map(Number);
        return sequence === undefined ? [] : [{ mac: macOf(host ?? 0), sequence }];
      });
    const remotes = Object.entries(others).map(([node, text], at): Remote => {
      const member = { name: node, mac: `02:00:00:00:00:0${at}`, addresses: [], announces: [], services: [], sequence: 1 };
      const said: SegmentMember = text === "" ? member : { ...member, behind: hosts(text) };
      return { id: idOf(node), members: [said] } as unknown as Remote;
    });
    const left = contestBehind({ own: idOf("b"), macs, behind: hosts(own), remotes });
    return left.map((remote) => `${remote.id.split("/")[4]}: ${textOf(remote.members.flatMap(({ behind = [] }) => behind))}`.trim());
  }

  it("are settled by the higher number, and by their ids where both say the same", () => {
    assert.deepEqual(counted({ a: "1/2 2/1", c: "1/1" }), ["a: 1/2 2/1", "c:"]);
    assert.deepEqual(counted({ a: "1/1", c: "1/1" }), ["a:", "c: 1/1"]);
    assert.deepEqual(counted({ a: "1/1", c: "2/9" }, "1/1 2/1"), ["a:", "c: 2/9"]);
  });

  it("are both wrong where it is a member", () => {
    assert.deepEqual(counted({ a: "1/9" }, "", [macOf(1)]), ["a:"]);
    const [remote] = contestBehind({
      ...{ own: idOf("b"), macs: [], behind: [] },
      remotes: [
        {
          id: idOf("a"),
          members: [
            { name: "x", mac: macOf(1), behind: [{ mac: macOf(2), sequence: 1 }] },
            { name: "y", mac: macOf(2), behind: [{ mac: macOf(1), sequence: 9 }] },
          ],
        } as unknown as Remote,
      ],
    });
    assert.deepEqual(
      remote?.members.map(({ behind }) => behind),
      [undefined, undefined],
    );
  });

  it("leave the very same members where all of it counts", () => {
    const members = [{ name: "x", mac: macOf(1), behind: [{ mac: macOf(2), sequence: 1 }] }];
    const remotes = [{ id: idOf("a"), members } as unknown as Remote];
    assert.equal(contestBehind({ own: idOf("b"), macs: [], behind: [], remotes })[0], remotes[0]);
  });
});
