import assert from "node:assert/strict";
import fc from "fast-check";
import { formatAddress, parseAddress, parseRange, rangesMeet } from "../../../../core/ipam/address.js";
import { PrefixPool } from "../../../../core/ipam/pool.js";
import { Ranges } from "../../../../core/ipam/ranges.js";
import { throwsWith } from "../../../lib/chainKit.js";

describe("addresses", () => {
  it("are read and written in both families", () => {
    for (const address of ["0.0.0.0", "172.16.1.255", "255.255.255.255", "::", "2001:db8::1", "fe80::a:b"]) {
      const { family, value } = parseAddress(address);
      assert.equal(formatAddress(family, value), address);
    }
    assert.equal(parseAddress("172.16.1.1/24").value, 0xac100101n);
  });

  it("are refused with what was given", () => {
    for (const address of ["", "172.16.1", "172.16.1.256", "1.2.3.4/33", "::1/129", "fe80::1%eth0", "0x7f.1", "010.0.0.1x", "1.2.3.4/"])
      throwsWith("invalid", JSON.stringify(address), () => parseAddress(address));
  });

  it("are all those of a prefix, whatever its host bits say", () => {
    assert.deepEqual(parseRange("172.16.1.77/24"), parseRange("172.16.1.0/24"));
    assert.deepEqual(parseRange("10.0.0.1"), { family: 4, first: 0x0a000001n, last: 0x0a000001n });
    assert.equal(parseRange("0.0.0.0/0").last, 0xffffffffn);
    assert.equal(parseRange("2001:db8::/64").last - parseRange("2001:db8::/64").first, 2n ** 64n - 1n);
    for (const cidr of ["10.0.0.0/33", "10.0.0/8", "x", "10.0.0.0/8/8", "10.0.0.0/-1", "::/129", "10.0.0.0/1e1"])
      throwsWith("invalid", `${JSON.stringify(cidr)} is no address range`, () => parseRange(cidr));
  });

  it("meet within one family only", () => {
    assert.ok(rangesMeet(parseRange("10.0.0.0/8"), parseRange("10.1.2.3")));
    assert.ok(!rangesMeet(parseRange("10.0.0.0/8"), parseRange("11.0.0.0/8")));
    assert.ok(!rangesMeet(parseRange("0.0.0.0/0"), parseRange("::/0")));
  });
});

describe("Ranges", () => {
  it("say the same as a set of numbers, whatever is put in and taken out", () => {
    const small = fc.bigInt({ min: 0n, max: 40n });
    const step = fc.oneof(
      fc.tuple(fc.constant("add" as const), small, fc.bigInt({ min: 0n, max: 8n })),
      fc.tuple(fc.constant("remove" as const), small, fc.constant(0n)),
    );
    const property = fc.property(fc.array(step, { maxLength: 40 }), fc.array(step, { maxLength: 6 }), (steps, excluding) => {
      const build = (list: typeof steps) => {
        const ranges = new Ranges();
        const model = new Set<bigint>();
        for (const [what, first, more] of list) {
          if (what === "remove") {
            ranges.remove(first);
            model.delete(first);
            continue;
          }
          ranges.add({ first, last: first + more });
          for (let value = first; value <= first + more; value++) model.add(value);
        }
        return { ranges, model };
      };
      const { ranges, model } = build(steps);
      const others = build(excluding);
      for (let value = 0n; value <= 50n; value++) assert.equal(ranges.has(value), model.has(value), `${value}`);
      assert.equal(ranges.size, BigInt(model.size));
      const lowest = [...model].filter((value) => !others.model.has(value)).sort((a, b) => Number(a - b))[0];
      assert.equal(ranges.lowestOutside(others.ranges), lowest);
    });
    fc.assert(property, { numRuns: 150 });
  });
});

describe("PrefixPool", () => {
  it("gives the lowest free address first", () => {
    const pool = new PrefixPool(["172.16.1.0/30"]);
    assert.deepEqual(
      [1, 2, 3, 4, 5].map(() => pool.take()),
      ["172.16.1.0", "172.16.1.1", "172.16.1.2", "172.16.1.3", undefined],
    );
    pool.release("172.16.1.2");
    pool.release("172.16.1.1");
    assert.equal(pool.take(), "172.16.1.1");
    assert.equal(pool.used, 3n);
  });

  it("goes on in its next prefix, the lower one first", () => {
    const pool = new PrefixPool(["10.1.0.0/32", "10.0.0.0/31"]);
    assert.deepEqual(
      [1, 2, 3, 4].map(() => pool.take()),
      ["10.0.0.0", "10.0.0.1", "10.1.0.0", undefined],
    );
    assert.equal(pool.size, 3n);
  });

  it("counts prefixes that overlap once", () => {
    assert.equal(new PrefixPool(["10.0.0.0/30", "10.0.0.0/31", "10.0.0.2/31"]).size, 4n);
  });

  it("works the same for IPv6, however large", () => {
    const pool = new PrefixPool(["2001:db8:1::/64"]);
    assert.equal(pool.take(), "2001:db8:1::");
    assert.equal(pool.take(), "2001:db8:1::1");
    assert.equal(pool.size, 2n ** 64n);
    assert.ok(pool.recover("2001:db8:1::ffff:ffff:ffff:ffff"));
  });

  it("gives nothing from what is excluded", () => {
    const pool = new PrefixPool(["172.16.0.0/24"]);
    assert.equal(pool.take(["172.16.0.0/25"]), "172.16.0.128");
    assert.equal(pool.take(["172.16.0.0/31", "172.16.0.2/32", "2001:db8::/32"]), "172.16.0.3");
    assert.equal(pool.take(["172.16.0.0/16"]), undefined);
    assert.equal(pool.take(["0.0.0.0/0"]), undefined);
    assert.equal(pool.take(), "172.16.0.0");
    throwsWith("invalid", '"nonsense" is no address range', () => pool.take(["nonsense"]));
  });

  it("takes an address back that somebody has already, if it is free and of its own", () => {
    const pool = new PrefixPool(["172.16.1.0/24"]);
    assert.ok(pool.recover("172.16.1.7/32"));
    assert.ok(!pool.recover("172.16.1.7"));
    assert.ok(!pool.recover("172.16.2.7"));
    assert.ok(!pool.recover("2001:db8::1"));
    assert.equal(pool.used, 1n);
  });

  it("does not mind an address that was not taken", () => {
    const pool = new PrefixPool(["172.16.1.0/31"]);
    for (const address of ["172.16.1.0", "172.16.9.9", "::1"]) pool.release(address);
    assert.equal(pool.used, 0n);
    assert.ok(pool.contains("172.16.1.1/32"));
    assert.ok(!pool.contains("::1"));
  });

  it("refuses what is no pool", () => {
    throwsWith("invalid", "one family", () => new PrefixPool([]));
    throwsWith("invalid", "one family", () => new PrefixPool(["10.0.0.0/8", "2001:db8::/64"]));
    throwsWith("invalid", '"10.0.0.0/40"', () => new PrefixPool(["10.0.0.0/40"]));
  });

  it("never gives an address twice, and counts right, whatever is done with it", () => {
    const address = fc.nat(40).map((n) => `10.0.0.${n}`);
    const excluded = fc.array(
      fc.tuple(fc.nat(31), fc.integer({ min: 26, max: 32 })).map(([n, bits]) => `10.0.0.${n}/${bits}`),
      { maxLength: 2 },
    );
    const step = fc.oneof(
      fc.record({ do: fc.constant("take" as const), excluded }),
      fc.record({ do: fc.constant("recover" as const), address }),
      fc.record({ do: fc.constant("release" as const), address }),
    );
    const property = fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const pool = new PrefixPool(["10.0.0.0/28", "10.0.0.24/29"]);
      const given = new Set<string>();
      for (const each of steps) {
        if (each.do === "release") {
          pool.release(each.address);
          given.delete(each.address);
        } else if (each.do === "recover") {
          const free = pool.contains(each.address) && !given.has(each.address);
          assert.equal(pool.recover(each.address), free);
          if (free) given.add(each.address);
        } else {
          const taken = pool.take(each.excluded);
          if (taken === undefined) continue;
          assert.ok(!given.has(taken), `${taken} twice`);
          assert.ok(pool.contains(taken));
          assert.ok(!each.excluded.some((prefix) => rangesMeet(parseRange(prefix), parseRange(taken))));
          given.add(taken);
        }
        assert.equal(pool.used, BigInt(given.size));
      }
      for (let free = pool.size - pool.used; free > 0n; free--) assert.ok(pool.take() !== undefined);
      assert.equal(pool.take(), undefined);
    });
    fc.assert(property, { numRuns: 100 });
  });

  it("finds the lowest free address of a range that is full of holes", () => {
    const pool = new PrefixPool(["10.0.0.0/16"]);
    const address = (i: number) => formatAddress(4, 0x0a000000n + BigInt(i));
    for (let i = 0; i < 4000; i++) pool.take();
    for (let i = 0; i < 4000; i += 2) pool.release(address(i));
    for (let i = 0; i < 4000; i += 2) assert.equal(pool.take(), address(i));
    assert.equal(pool.used, 4000n);
    assert.equal(pool.take(), address(4000));
  });
});
