import assert from "node:assert/strict";
import { MemberRule } from "../../../../api/gen/isthmus/v1/segment.js";
import type { SegmentMember } from "../../../../core/segment/membership.js";
import type { Remote } from "../../../../forwarder/segments/part.js";
import { RemoteMembers } from "../../../../forwarder/segments/remoteMembers.js";

function member(name: string, number: number): SegmentMember {
  return { name, mac: `02:00:00:00:00:0${number}`, addresses: [`10.60.1.${number}`], announces: [], services: [], sequence: 1 };
}

function remote(id: string, tunnel: string, members: readonly SegmentMember[], vni = 9_000_001): Remote {
  return { id, tunnel, vni, members } as Remote;
}

/** Notes which units are revised, and how much is wanted of each. */
class Notes {
  readonly #notes: string[] = [];
  readonly members = new RemoteMembers({ revise: (unit, objects) => void this.#notes.push(`${unit}: ${objects.length}`) });

  take(): string[] {
    return this.#notes.splice(0);
  }
}

describe("the members of other nodes, in the kernel", () => {
  const [camera, motor] = [member("camera", 1), member("motor", 2)];
  const l2 = { layer: "l2", policy: [] };

  it("are revised one by one, those that come, change or go", () => {
    const notes = new Notes();
    notes.members.set(l2, [remote("b", "fd00::2", [camera, motor])]);
    assert.deepEqual(notes.take(), ["remote/b camera: 3", "remote/b motor: 3"]);
    notes.members.set(l2, [remote("b", "fd00::2", [camera])]);
    assert.deepEqual(notes.take(), ["remote/b motor: 0"]);
    notes.members.set(l2, [remote("b", "fd00::2", [member("camera", 3)])]);
    assert.deepEqual(notes.take(), ["remote/b camera: 3"]);
    notes.members.set(l2, []);
    assert.deepEqual(notes.take(), ["remote/b camera: 0"]);
  });

  it("are revised with their node, where that is reached otherwise, and when they move to another", () => {
    const notes = new Notes();
    notes.members.set(l2, [remote("b", "fd00::2", [camera])]);
    notes.take();
    notes.members.set(l2, [remote("b", "fd00::2", [camera], 9_000_002)]);
    assert.deepEqual(notes.take(), ["remote/b camera: 3"]);
    notes.members.set(l2, [remote("b", "fd00::2", []), remote("c", "fd00::3", [camera])]);
    assert.deepEqual(notes.take(), ["remote/b camera: 0", "remote/c camera: 3"]);
  });

  it("are revised all where the policy is another, and only then", () => {
    const notes = new Notes();
    const of = [remote("b", "fd00::2", [{ ...camera, labels: { role: "plc" } }, motor])];
    const ruled = (to: string) => ({ layer: "l2", policy: [MemberRule.fromPartial({ to: { role: to } })] });
    notes.members.set(l2, of);
    notes.take();
    notes.members.set(ruled("plc"), of);
    assert.deepEqual(notes.take(), ["remote/b camera: 4", "remote/b motor: 3"]);
    notes.members.set(ruled("plc"), of);
    assert.deepEqual(notes.take(), []);
    notes.members.set(ruled("hmi"), of);
    assert.deepEqual(notes.take(), ["remote/b camera: 3", "remote/b motor: 3"]);
  });

  it("have nothing on L3, where their nodes' blocks say enough", () => {
    const notes = new Notes();
    notes.members.set({ layer: "l3", policy: [] }, [remote("b", "fd00::2", [camera])]);
    assert.deepEqual(notes.take(), ["remote/b camera: 0"]);
  });
});
