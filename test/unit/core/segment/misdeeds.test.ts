import assert from "node:assert/strict";
import { NetworkServiceEndpoint } from "../../../../api/gen/registry/registry.js";
import { type Misdeed, misdeedLabels, misdeedsOf } from "../../../../core/segment/misdeeds.js";

const misdeed = (member: string, dropped: number, kind: Misdeed["kind"] = "flooded"): Misdeed => ({
  member,
  kind,
  sinceMs: 1_700_000_000_000,
  dropped,
});
const saying = (labels: Record<string, string>) =>
  NetworkServiceEndpoint.fromPartial({ networkServiceNames: ["floor"], networkServiceLabels: { floor: { labels } } });

describe("what a node tells of its members' misdeeds", () => {
  it("is heard with member, kind, time, and a number of which only the first digit is told", () => {
    const told = [misdeed("loop", 98_765), misdeed("mallory", 1, "spoofed"), misdeed("zoo", 10)];
    assert.deepEqual(misdeedsOf(saying(misdeedLabels(told)), "floor"), [{ ...told[0], dropped: 90_000 }, told[1], told[2]]);
  });

  it("changes rarely, however much is dropped", () => {
    const words = new Set(Array.from({ length: 10_000 }, (_, at) => JSON.stringify(misdeedLabels([misdeed("loop", 1 + at * 37)]))));
    assert.ok(words.size <= 6 * 9, `${words.size} tellings`);
  });

  it("is nothing where there is none, and of the worst where there are many", () => {
    assert.deepEqual(misdeedLabels([]), {});
    assert.deepEqual(misdeedsOf(saying({}), "floor"), []);
    const many = Array.from({ length: 40 }, (_, at) => misdeed(`m-${at}`, 1 + at));
    const heard = misdeedsOf(saying(misdeedLabels(many)), "floor");
    assert.equal(heard.length, 16);
    assert.ok(heard.some(({ member }) => member === "m-39") && !heard.some(({ member }) => member === "m-0"));
  });

  it("is left out where it is none, for others may say anything", () => {
    const odd = [
      "LOOP flooded 1 1",
      "loop sings 1 1",
      "loop flooded x 1",
      "loop flooded 1",
      "loop flooded 1 -1",
      "",
      "\u001b[31m flooded 1 1",
    ];
    assert.deepEqual(misdeedsOf(saying({ misdeeds: odd.join() }), "floor"), []);
    assert.equal(misdeedsOf(saying({ misdeeds: Array(5_000).fill("loop flooded 1 1").join() }), "floor").length, 16);
  });
});
