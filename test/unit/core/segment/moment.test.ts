import assert from "node:assert/strict";
import { type Heard, retold } from "../../../../core/segment/moment.js";

const before: Heard = { history: "h", revision: 7, held: [] };
const known = ["floor", "plant"];

/** What becomes of floor and plant when only these are told. */
function outcome(told: readonly string[], moment: { readonly history: string; readonly revision: number }, heard = before) {
  const { ended, heard: now } = retold(known, new Set(told), moment, heard);
  return { ended, held: now.held, now };
}

describe("what is not told any more", () => {
  it("was ended where its teller goes on", () => {
    for (const revision of [7, 8]) assert.deepEqual(outcome(["plant"], { history: "h", revision }).ended, ["floor"]);
    assert.deepEqual(outcome(["plant"], { history: "h", revision: 9 }).now, { history: "h", revision: 9, held: [] });
  });

  it("was forgotten where its teller begins anew, goes back, or was never heard", () => {
    for (const [moment, heard] of [
      [{ history: "other", revision: 900 }, before],
      [{ history: "h", revision: 6 }, before],
      [{ history: "h", revision: 7 }, undefined],
    ] as const) {
      const { ended, heard: now } = retold(known, new Set(["plant"]), moment, heard);
      assert.deepEqual([ended, now.held], [[], ["floor"]]);
    }
  });

  it("that was forgotten stays until it is told again", () => {
    const held = outcome(["plant"], { history: "other", revision: 1 }).now;
    const later = outcome([], { history: "other", revision: 2 }, held);
    assert.deepEqual([later.ended, later.held], [["plant"], ["floor"]]);
    const again = outcome(["floor", "plant"], { history: "other", revision: 3 }, held).now;
    assert.deepEqual(outcome([], { history: "other", revision: 4 }, again).ended, ["floor", "plant"]);
  });
});
