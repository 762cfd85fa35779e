import assert from "node:assert/strict";
import type { SegmentMember } from "../../../../core/segment/membership.js";
import { reachedThrough } from "../../../../forwarder/segments/reach.js";

const blocks = ["10.60.1.0/24", "fd60:0:0:1::/64"];

function member(name: string, addresses: readonly string[], announces: readonly string[] = []): SegmentMember {
  return { name, mac: "02:00:00:00:00:01", addresses, announces, services: [], sequence: 1 };
}

describe("what is reached through another node", () => {
  it("is its blocks, whoever is in them", () => {
    const members = [member("a", ["10.60.1.2", "fd60:0:0:1::2"]), member("b", ["10.60.1.255", "fd60:0:0:1::3"])];
    assert.deepEqual(reachedThrough({ blocks, members: [] }), blocks);
    assert.deepEqual(reachedThrough({ blocks, members }), blocks);
  });

  it("is also each address of a member that lies in none of them", () => {
    const moved = member("moved", ["10.60.2.9", "fd60:0:0:2::9"]);
    assert.deepEqual(reachedThrough({ blocks, members: [member("a", ["10.60.1.2"]), moved] }), [
      ...blocks,
      "10.60.2.9/32",
      "fd60:0:0:2::9/128",
    ]);
    assert.deepEqual(reachedThrough({ blocks: [...blocks, "10.60.2.0/24"], members: [moved] }), [
      ...blocks,
      "10.60.2.0/24",
      "fd60:0:0:2::9/128",
    ]);
  });

  it("is what is behind members, once", () => {
    const gates = ["one", "two"].map((name) => member(name, ["10.60.1.2"], ["192.168.10.0/24"]));
    assert.deepEqual(reachedThrough({ blocks, members: gates }), [...blocks, "192.168.10.0/24"]);
  });

  it("is found without reading a member again that was read before", () => {
    let reads = 0;
    const counted = Object.defineProperty(member("counted", []), "addresses", {
      get: () => {
        reads++;
        return ["10.60.2.9"];
      },
    });
    for (const others of [[], [member("a", ["10.60.1.2"])]])
      assert.deepEqual(reachedThrough({ blocks, members: [counted, ...others] }), [...blocks, "10.60.2.9/32"]);
    assert.equal(reads, 1);
  });
});
