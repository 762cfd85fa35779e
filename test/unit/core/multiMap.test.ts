import assert from "node:assert/strict";
import fc from "fast-check";
import { MultiMap } from "../../../core/multiMap.js";

describe("MultiMap", () => {
  it("says the same as a map of sets, whatever is put in and taken out", () => {
    const small = fc.nat(3);
    const property = fc.property(fc.array(fc.tuple(fc.boolean(), small, small), { maxLength: 40 }), (steps) => {
      const map = new MultiMap<number, number>();
      const model = new Map<number, Set<number>>();
      for (const [adds, key, value] of steps) {
        if (adds) {
          map.add(key, value);
          model.set(key, (model.get(key) ?? new Set()).add(value));
        } else {
          map.delete(key, value);
          model.get(key)?.delete(value);
        }
        for (let asked = 0; asked <= 3; asked++) assert.deepEqual([...map.get(asked)], [...(model.get(asked) ?? [])]);
      }
    });
    fc.assert(property, { numRuns: 200 });
  });
});
