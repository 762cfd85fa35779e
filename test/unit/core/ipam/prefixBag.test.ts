import assert from "node:assert/strict";
import fc from "fast-check";
import { parseRange } from "../../../../core/ipam/address.js";
import { PrefixBag } from "../../../../core/ipam/prefixBag.js";
import { throwsWith } from "../../../lib/chainKit.js";

describe("PrefixBag", () => {
  it("tells neighbours as one, and each family by itself", () => {
    const bag = new PrefixBag(["172.16.1.0/32", "172.16.1.1/32", "172.16.1.3/32", "2001:db8::/128", "2001:db8::1/128", "172.16.1.2/32"]);
    assert.deepEqual(bag.prefixes, ["172.16.1.0/30", "2001:db8::/127"]);
  });

  it("stays short however many there are", () => {
    const bag = new PrefixBag(Array.from({ length: 1000 }, (_, n) => `10.0.${n >> 8}.${n & 255}/32`));
    assert.equal(bag.prefixes.length, 6); // 512 + 256 + 128 + 64 + 32 + 8
  });

  it("keeps what was added twice until it was removed twice", () => {
    const bag = new PrefixBag(["10.0.0.1/32", "10.0.0.1/32"]);
    bag.remove("10.0.0.1/32");
    assert.ok(bag.meets("10.0.0.0/24"));
    bag.remove("10.0.0.1/32");
    bag.remove("10.0.0.9/32");
    assert.ok(!bag.meets("10.0.0.0/24"));
    assert.deepEqual(bag.prefixes, []);
  });

  it("leaves itself as it is when it is asked for the rest", () => {
    const bag = new PrefixBag(["10.0.0.0/31", "10.0.0.1/32"]);
    assert.deepEqual(bag.without(["10.0.0.0/31"]).prefixes, ["10.0.0.1/32"]);
    assert.deepEqual(bag.prefixes, ["10.0.0.0/31"]);
  });

  it("refuses what is no prefix", () => throwsWith("invalid", '"nonsense"', () => new PrefixBag(["nonsense"])));

  it("covers just what was added and not removed, whatever the order", () => {
    const prefix = fc.tuple(fc.nat(31), fc.integer({ min: 27, max: 32 })).map(([n, bits]) => `10.0.0.${n}/${bits}`);
    const step = fc.tuple(fc.boolean(), prefix);
    const property = fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const bag = new PrefixBag();
      const model: string[] = [];
      for (const [adds, one] of steps) {
        if (adds) {
          bag.add(one);
          model.push(one);
        } else {
          bag.remove(one);
          if (model.includes(one)) model.splice(model.indexOf(one), 1);
        }
        // Asked in between, so that what is kept from the last question is tested as well.
        for (let n = 0; n < 34; n++) {
          const address = `10.0.0.${n}/32`;
          const { first } = parseRange(address);
          const covered = (list: readonly string[]) => list.map(parseRange).some((range) => range.first <= first && first <= range.last);
          assert.equal(bag.meets(address), covered(model), address);
          assert.equal(covered(bag.prefixes), covered(model), address);
        }
      }
    });
    fc.assert(property, { numRuns: 60 });
  });
});
