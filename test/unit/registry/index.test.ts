import assert from "node:assert/strict";
import { Index } from "../../../registry/index.js";
import { countingKind, type Thing, thing } from "./things.js";

describe("the index", () => {
  let kind: ReturnType<typeof countingKind>;
  let index: Index<Thing>;
  beforeEach(() => {
    kind = countingKind();
    index = new Index(kind);
    for (let at = 0; at < 1_000; at++) index.put(thing(`t${at}`, ["all", `of${at % 10}`, ...(at === 7 ? ["rare"] : [])]));
  });

  const found = (query: Thing) => {
    kind.looked = 0;
    return index.find(query).map(({ name }) => name);
  };

  it("finds by name by looking at one", () => {
    assert.deepEqual(found(thing("t5")), ["t5"]);
    assert.equal(kind.looked, 1);
    assert.deepEqual(found(thing("none")), []);
    assert.equal(kind.looked, 0);
  });

  it("finds by a term by looking at those who have it", () => {
    assert.equal(found(thing("", ["of3"])).length, 100);
    assert.equal(kind.looked, 100);
  });

  it("looks at the fewest when there are several terms", () => {
    assert.deepEqual(found(thing("", ["all", "rare", "of7"])), ["t7"]);
    assert.equal(kind.looked, 1);
  });

  it("looks at nothing when nobody has one of the terms", () => {
    assert.deepEqual(found(thing("", ["all", "unheard of"])), []);
    assert.equal(kind.looked, 0);
  });

  it("checks the rest of the query on a name's match", () => {
    assert.deepEqual(found(thing("t5", ["rare"])), []);
  });

  it("gives everything for a query that asks for nothing", () => {
    assert.equal(found(thing("")).length, 1_000);
  });

  it("follows a thing whose terms change, and returns what it was", () => {
    assert.deepEqual(index.put(thing("t7", ["new"])), thing("t7", ["all", "of7", "rare"]));
    assert.deepEqual(found(thing("", ["rare"])), []);
    assert.deepEqual(found(thing("", ["new"])), ["t7"]);
    assert.equal(index.size, 1_000);
  });

  it("forgets what is deleted, everywhere", () => {
    assert.equal(index.delete("t7")?.name, "t7");
    assert.equal(index.delete("t7"), undefined);
    assert.equal(index.get("t7"), undefined);
    assert.deepEqual(found(thing("", ["rare"])), []);
    assert.equal(found(thing("", ["of7"])).length, 99);
  });

  it("finds the first, the second and who is left of a term that few have", () => {
    index.put(thing("t8", ["few", "few"]));
    assert.deepEqual(found(thing("", ["few"])), ["t8"]);
    index.put(thing("t9", ["few"]));
    assert.deepEqual(found(thing("", ["few"])), ["t8", "t9"]);
    index.delete("t8");
    assert.deepEqual(found(thing("", ["few"])), ["t9"]);
    index.put(thing("t9", ["few"], "changed"));
    assert.deepEqual(index.find(thing("", ["few"])), [thing("t9", ["few"], "changed")]);
    index.delete("t9");
    assert.deepEqual(found(thing("", ["few"])), []);
  });

  it("is not misled by names that objects have", () => {
    for (const name of ["__proto__", "constructor", "toString"]) {
      assert.equal(index.get(name), undefined);
      index.put(thing(name, [name]));
      assert.deepEqual(found(thing("", [name])), [name]);
    }
  });
});
