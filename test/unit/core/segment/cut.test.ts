import assert from "node:assert/strict";
import fc from "fast-check";
import type { SiteBlocks } from "../../../../api/gen/isthmus/v1/segment.js";
import { rangesMeet } from "../../../../core/ipam/address.js";
import { contains, formatPrefix, parsePrefix } from "../../../../core/ipam/prefix.js";
import { checkCuts, cut, longestFor, nodeLength } from "../../../../core/segment/cut.js";
import { throwsWith } from "../../../lib/chainKit.js";

const cutNew = (prefixes: readonly string[], sites: readonly string[], before: readonly SiteBlocks[] = []) =>
  cut({ name: "plant", prefixes, sites, before });
const text = (blocks: readonly SiteBlocks[]) => blocks.map(({ site, prefixes }) => `${site} ${prefixes.join(" ")}`.trim());

const sites = (count: number) => Array.from({ length: count }, (_, at) => `site-${at}`);
const family = fc.constantFrom(4 as const, 6 as const);
/** A prefix that is large enough for so many sites, and how many. */
const cuttable = fc
  .tuple(family, fc.integer({ min: 1, max: 40 }))
  .chain(([of, count]) =>
    fc
      .integer({ min: of === 4 ? 8 : 16, max: longestFor(of, count) })
      .map((length) => ({ count, prefix: formatPrefix({ ...parsePrefix(of === 4 ? "10.0.0.0/8" : "fd00::/16"), length }) })),
  );

describe("cutting a segment's prefixes among its sites", () => {
  it("leaves room for as many sites again, and for four at least", () => {
    assert.deepEqual(text(cutNew(["10.60.0.0/16", "fd60::/48"], ["paris"])), ["paris 10.60.0.0/18 fd60::/50"]);
    assert.deepEqual(text(cutNew(["10.60.0.0/16"], sites(3))), ["site-0 10.60.0.0/19", "site-1 10.60.32.0/19", "site-2 10.60.64.0/19"]);
  });

  it("takes less room where the prefix is small, and just what is needed where it is smaller still", () => {
    assert.deepEqual(text(cutNew(["10.60.0.0/24"], ["paris", "tokyo"])), ["paris 10.60.0.0/25", "tokyo 10.60.0.128/25"]);
    assert.deepEqual(text(cutNew(["10.60.0.0/28"], ["paris", "tokyo"])), ["paris 10.60.0.0/29", "tokyo 10.60.0.8/29"]);
    assert.deepEqual(text(cutNew(["10.60.0.0/29", "fd60::/120"], ["paris"])), ["paris 10.60.0.0/29 fd60::/120"]);
  });

  it("needs no prefixes", () => {
    assert.deepEqual(text(cutNew([], sites(9))), sites(9));
  });

  it("keeps the part of a site that takes no part any more for that site", () => {
    const before = cutNew(["10.60.0.0/16"], ["paris", "tokyo"]);
    const after = cutNew(["10.60.0.0/16"], ["paris", "lima"], before);
    assert.deepEqual(text(after), ["paris 10.60.0.0/18", "tokyo 10.60.64.0/18", "lima 10.60.128.0/18"]);
    assert.deepEqual(cutNew(["10.60.0.0/16"], ["tokyo", "paris"], after), after);
  });

  it("says for how many sites it was cut when one more does not fit", () => {
    const before = cutNew(["10.60.0.0/24"], ["paris", "tokyo"]);
    throwsWith(
      "exhausted",
      "10.60.0.0/24 of the segment plant was cut for 2 sites when it was made, and paris, tokyo have their part; for more sites make another segment, with a larger prefix",
      () => cutNew(["10.60.0.0/24"], ["paris", "tokyo", "lima"], before),
    );
  });

  it("never gives one address to two sites, and only what is the segment's", () => {
    const property = fc.property(cuttable, ({ prefix, count }) => {
      const blocks = cutNew([prefix], sites(count)).map(({ prefixes: [one] }) => parsePrefix(one ?? ""));
      assert.equal(blocks.length, count);
      for (const [at, block] of blocks.entries()) {
        assert.ok(contains(parsePrefix(prefix), block));
        assert.ok(blocks.slice(0, at).every((other) => !rangesMeet(other, block)));
      }
    });
    fc.assert(property);
  });

  it("moves nobody's part when sites come, whatever came and went before", () => {
    const steps = fc.array(fc.uniqueArray(fc.nat(7), { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 8 });
    const property = fc.property(steps, (all) => {
      const prefixes = ["10.0.0.0/12", "fd60::/40"];
      let before: readonly SiteBlocks[] = [];
      for (const some of all.map((numbers) => numbers.map((number) => `site-${number}`))) {
        const known = new Map(before.map((blocks) => [blocks.site, blocks]));
        try {
          before = cutNew(prefixes, some, before);
        } catch (error) {
          // More than there is room for: nothing was changed.
          assert.equal((error as { code?: string }).code, "exhausted");
          assert.ok(new Set([...known.keys(), ...some]).size > 4);
          continue;
        }
        for (const [site, blocks] of known)
          assert.deepEqual(
            before.find((one) => one.site === site),
            blocks,
          );
        assert.ok(some.every((site) => before.some((one) => one.site === site)));
        checkCuts({ name: "plant", prefixes, siteBlocks: [...before] });
      }
    });
    fc.assert(property);
  });
});

describe("what a node gets", () => {
  it("is a 16th of its site's, from 8 to 256 addresses", () => {
    const lengths = ["10.0.0.0/8", "10.0.0.0/20", "10.0.0.0/22", "10.0.0.0/25", "10.0.0.0/28", "10.0.0.0/29"];
    assert.deepEqual(
      lengths.map((site) => nodeLength(parsePrefix(site))),
      [24, 24, 26, 29, 29, 29],
    );
  });

  it("is a /64 of IPv6 where there is room, and else a 256th, of 256 addresses at least", () => {
    const lengths = ["fd60::/32", "fd60::/56", "fd60::/57", "fd60::/64", "fd60::/112", "fd60::/120"];
    assert.deepEqual(
      lengths.map((site) => nodeLength(parsePrefix(site))),
      [64, 64, 65, 72, 120, 120],
    );
  });
});

describe("what another site says that it has cut", () => {
  const check =
    (...siteBlocks: SiteBlocks[]) =>
    () =>
      checkCuts({ name: "plant", prefixes: ["10.60.0.0/16"], siteBlocks });
  it("is refused where it cannot be so", () => {
    throwsWith(
      "invalid",
      "the segment plant gives 10.61.0.0/24 to lima, which is not in 10.60.0.0/16",
      check({ site: "lima", prefixes: ["10.61.0.0/24"] }),
    );
    throwsWith(
      "invalid",
      "the segment plant gives addresses of 10.60.1.0/24 both to lima and to oslo",
      check({ site: "lima", prefixes: ["10.60.0.0/18"] }, { site: "oslo", prefixes: ["10.60.1.0/24"] }),
    );
    throwsWith("invalid", '"" is no address range', check({ site: "lima", prefixes: [] }));
  });
});
