import assert from "node:assert/strict";
import type { KernelSide } from "../../../../forwarder/crossConnect.js";
import { Whereabouts } from "../../../../forwarder/segments/whereabouts.js";

const at = (id: string, segment: string, cookie: string) => ({ id, segment, side: { pod: { path: "", cookie } } as KernelSide });

describe("the whereabouts of members", () => {
  it("are their segments, and the other memberships of their pods", () => {
    const whereabouts = new Whereabouts();
    for (const member of [at("a", "plant", "1"), at("b", "office", "1"), at("c", "plant", "2")]) whereabouts.add(member);
    assert.deepEqual(
      ["a", "b", "c", "d"].map((id) => whereabouts.segmentOf(id)),
      ["plant", "office", "plant", undefined],
    );
    assert.deepEqual(whereabouts.others({ cookie: "1" }, "a"), ["b"]);
    assert.deepEqual(whereabouts.others({ cookie: "2" }, "c"), []);
    assert.deepEqual(whereabouts.others({ cookie: "2" }, "new"), ["c"]);
  });

  it("are nothing of one that has left, and only the last of one that moved to another network namespace", () => {
    const whereabouts = new Whereabouts();
    whereabouts.add(at("a", "plant", "1"));
    whereabouts.add(at("a", "plant", "2"));
    assert.deepEqual(whereabouts.others({ cookie: "1" }, ""), []);
    assert.deepEqual(whereabouts.others({ cookie: "2" }, ""), ["a"]);
    whereabouts.remove("a");
    whereabouts.remove("a");
    assert.equal(whereabouts.segmentOf("a"), undefined);
    assert.deepEqual(whereabouts.others({ cookie: "2" }, ""), []);
  });
});
