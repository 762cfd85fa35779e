import assert from "node:assert/strict";
import fc from "fast-check";
import { nearest } from "../../../core/nearest.js";
import { type Choice, order } from "../../../core/select.js";
import { endpoint } from "../../lib/chainKit.js";

const weighted = (name: string, weight = 1) => ({ endpoint: endpoint(name, ["s"]), weight });
const choice = (part: Partial<Choice> = {}): Choice => ({ random: () => 0.5, load: () => 0, distance: () => 0, ...part });
const names = (...args: Parameters<typeof order>) => order(...args).map(({ name }) => name);

/** A small generator, so that a test draws the same every time. */
function drawing(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
}

describe("order", () => {
  it("puts the nearest first, whatever it carries", () => {
    const distance = ({ name }: { name: string }) => ["here", "site", "far"].indexOf(name);
    const load = (name: string) => (name === "here" ? 100 : 0);
    assert.deepEqual(names([weighted("far", 9), weighted("site"), weighted("here")], choice({ distance, load })), ["here", "site", "far"]);
  });

  it("puts the least loaded first at one distance", () => {
    const load = (name: string) => ({ a: 3, b: 1, c: 2 })[name] ?? 0;
    assert.deepEqual(names([weighted("a"), weighted("b"), weighted("c")], choice({ load })), ["b", "c", "a"]);
  });

  it("shares connections out by weight", () => {
    const loads = new Map([
      ["light", 0],
      ["heavy", 0],
    ]);
    const random = drawing(1);
    for (let i = 0; i < 400; i++) {
      const [first = ""] = names([weighted("light"), weighted("heavy", 3)], choice({ random, load: (name) => loads.get(name) ?? 0 }));
      loads.set(first, (loads.get(first) ?? 0) + 1);
    }
    assert.deepEqual(
      [...loads],
      [
        ["light", 100],
        ["heavy", 300],
      ],
    );
  });

  it("lets nodes that know nothing of one another choose by weight as well", () => {
    const random = drawing(2);
    const firsts = Array.from({ length: 1000 }, () => names([weighted("light"), weighted("heavy", 3)], choice({ random }))[0]);
    const heavy = firsts.filter((name) => name === "heavy").length;
    assert.ok(heavy > 690 && heavy < 810, `${heavy} of 1000`);
  });

  it("puts the endpoint that was left last, also when it is the nearest", () => {
    const distance = ({ name }: { name: string }) => (name === "left" ? 0 : 2);
    assert.deepEqual(names([weighted("left"), weighted("other")], choice({ distance, avoid: "left" })), ["other", "left"]);
    assert.deepEqual(names([weighted("left")], choice({ avoid: "left" })), ["left"]);
  });

  it("keeps every candidate, once", () => {
    const property = fc.property(
      fc.array(fc.tuple(fc.nat(3), fc.nat(5), fc.integer({ min: 1, max: 9 })), { maxLength: 12 }),
      fc.integer(),
      (drawn, seed) => {
        const candidates = drawn.map(([, , weight], i) => weighted(`${i}`, weight));
        const ordered = names(
          candidates,
          choice({
            random: drawing(Math.abs(seed)),
            distance: ({ name }) => drawn[Number(name)]?.[0] ?? 0,
            load: (name) => drawn[Number(name)]?.[1] ?? 0,
          }),
        );
        assert.deepEqual([...ordered].sort(), candidates.map(({ endpoint: { name } }) => name).sort());
        const distances = ordered.map((name) => drawn[Number(name)]?.[0] ?? 0);
        assert.deepEqual(distances, [...distances].sort());
      },
    );
    fc.assert(property);
  });
});

describe("nearest", () => {
  it("names what was probably meant, best first", () => {
    assert.deepEqual(nearest("intranett", ["internet", "database", "intranet"]), ["intranet", "internet"]);
    assert.deepEqual(nearest("db", ["db-main", "web", "api"]), ["db-main"]);
    assert.deepEqual(nearest("Intranet", ["intranet"]), ["intranet"]);
  });

  it("names nothing that has nothing in common", () => {
    assert.deepEqual(nearest("intranet", ["payments", "x"]), []);
    assert.deepEqual(nearest("intranet", []), []);
  });

  it("names three at the most", () => {
    assert.deepEqual(nearest("svc", ["svc4", "svc3", "svc2", "svc1"]), ["svc1", "svc2", "svc3"]);
  });
});
