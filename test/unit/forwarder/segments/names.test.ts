import assert from "node:assert/strict";
import { Segment } from "../../../../api/gen/isthmus/v1/segment.js";
import { silent } from "../../../../core/log.js";
import { Names, nearest } from "../../../../forwarder/segments/names.js";
import type { Part } from "../../../../forwarder/segments/part.js";

const netns = { path: "/run/netns/x", cookie: "x" };

function partOf(dnsDomain: string): Part {
  return { segment: Segment.fromPartial({ name: "plant", layer: "l3", dnsDomain }), vni: 9_000_000, blocks: [] };
}

/** Resolvers that take a while to open; notes what is open. */
class Resolvers {
  readonly open = new Set<number>();
  most = 0;
  #made = 0;
  readonly #waiting: (() => void)[] = [];
  readonly names = new Names({
    netns,
    log: silent,
    openNames: async () => {
      const number = ++this.#made;
      this.open.add(number);
      this.most = Math.max(this.most, this.open.size);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
      return { [Symbol.asyncDispose]: async () => void this.open.delete(number) };
    },
  });

  async go(): Promise<void> {
    for (let turn = 0; turn < 20; turn++) {
      for (const resolve of this.#waiting.splice(0)) resolve();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

describe("the names of a segment on a node", () => {
  it("are answered for by one resolver at a time, however often the segment is described anew", async () => {
    const resolvers = new Resolvers();
    const begun = ["a", "b", "c", "c"].map((domain) => resolvers.names.begin(partOf(domain), ["10.60.0.1"]));
    await Promise.all([resolvers.go(), ...begun]);
    assert.deepEqual([resolvers.most, resolvers.open.size], [1, 1]);
    await resolvers.names[Symbol.asyncDispose]();
    assert.equal(resolvers.open.size, 0);
  });

  it("leave no resolver behind that was opening when they ended", async () => {
    const resolvers = new Resolvers();
    const begun = resolvers.names.begin(partOf("a"), ["10.60.0.1"]);
    const later = resolvers.names.begin(partOf("b"), ["10.60.0.1"]);
    const ended = resolvers.names[Symbol.asyncDispose]();
    await Promise.all([resolvers.go(), begun, later, ended]);
    assert.equal(resolvers.open.size, 0);
  });

  it("are those of the nearest who have them", () => {
    const member = (name: string, mac: string) => ({ name, mac, addresses: [], announces: [], services: [], sequence: 1 });
    const [own, thief, near, far] = [member("camera", "own"), member("camera", "thief"), member("lamp", "near"), member("lamp", "far")];
    const alone = { ...member("gate", "alone"), sequence: 9 };
    assert.deepEqual(nearest([[own], [near, thief], [far, alone, { ...thief, sequence: 1e15 }]]), [own, near, alone]);
  });
});
