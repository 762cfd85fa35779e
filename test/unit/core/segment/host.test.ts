import assert from "node:assert/strict";
import fc from "fast-check";
import { rangesMeet } from "../../../../core/ipam/address.js";
import { contains, formatPrefix, type Prefix, parsePrefix } from "../../../../core/ipam/prefix.js";
import { freeHost, isEdge } from "../../../../core/segment/host.js";
import { throwsWith } from "../../../lib/chainKit.js";

/** A free address of a site's part, which is all of the segment's prefix unless that is given. */
function free(
  part: string,
  has: readonly string[] = [],
  { exclude = [], whole = part }: { exclude?: string[]; whole?: string } = {},
): string {
  const given = has.map((prefix) => ({ prefix: parsePrefix(prefix), owner: "node", holder: "forwarder" }));
  const from = { site: "paris", prefix: parsePrefix(part) };
  return formatPrefix(freeHost({ segment: "plant", from, given, exclude: exclude.map(parsePrefix), whole: parsePrefix(whole) }));
}

describe("choosing an address for a name", () => {
  it("takes the lowest of the uppermost place of a block, so that blocks have room below", () => {
    assert.equal(free("10.60.0.0/18"), "10.60.63.1/32");
    assert.equal(free("fd60::/50"), "fd60:0:0:3fff::1/128");
    assert.equal(free("10.60.0.0/27"), "10.60.0.25/32");
  });

  it("goes on in that place until it is full, and then to the next one below", () => {
    assert.equal(free("10.60.0.0/27", ["10.60.0.25/32"]), "10.60.0.26/32");
    const hosts = [25, 26, 27, 28, 29, 30].map((host) => `10.60.0.${host}/32`);
    assert.equal(free("10.60.0.0/27", hosts), "10.60.0.17/32");
  });

  it("leaves blocks of nodes alone, and single addresses that others have", () => {
    assert.equal(free("10.60.0.0/27", ["10.60.0.24/29", "10.60.0.17/32", "fd60::/64"]), "10.60.0.18/32");
  });

  it("leaves out what is excluded, whole places of it too, and the edges of the segment", () => {
    assert.equal(free("10.60.0.0/27", [], { exclude: ["10.60.0.24/29", "10.60.0.17"] }), "10.60.0.18/32");
    // Half of 2^32 places.
    assert.equal(free("fd60::/32", [], { exclude: ["fd60:0:8000::/33"] }), "fd60:0:7fff:ffff::1/128");
  });

  it("takes what looks like a network's own address only where nothing else is left, and the segment's own never", () => {
    const hosts = [9, 10, 11, 12, 13, 14].map((host) => `10.60.0.${host}/32`);
    assert.equal(free("10.60.0.8/29", hosts, { whole: "10.60.0.0/24" }), "10.60.0.15/32");
    assert.equal(free("10.60.0.8/29", [...hosts, "10.60.0.15/32"], { whole: "10.60.0.0/24" }), "10.60.0.8/32");
    throwsWith("exhausted", "is used up: 0 blocks are given to nodes and 6 single addresses", () => free("10.60.0.8/29", hosts));
  });

  it("says of what is used up what it is", () => {
    const sentence =
      "10.60.0.0/27, what paris gives out of the segment plant, is used up: 2 blocks are given to nodes and 1 single addresses, besides what is excluded";
    throwsWith("exhausted", sentence, () =>
      free("10.60.0.0/27", ["10.60.0.0/29", "10.60.0.8/29", "10.60.0.16/32"], { exclude: ["10.60.0.16/28"] }),
    );
  });

  it("gives every address once, and all of them, whatever is given already", () => {
    const prefixes = fc.oneof(
      fc.nat(3).map((block) => `10.60.0.${8 * block}/29`),
      fc.nat(31).map((host) => `10.60.0.${host}/32`),
    );
    fc.assert(
      fc.property(fc.array(prefixes), fc.array(prefixes), (had, exclude) => {
        const out = [...had, ...exclude].map(parsePrefix);
        const whole = parsePrefix("10.60.0.0/27");
        const hosts = Array.from({ length: 32 }, (_, host) => parsePrefix(`10.60.0.${host}`));
        const left = hosts.filter((host) => !isEdge(whole, host) && !out.some((one) => rangesMeet(one, host)));
        const given: Prefix[] = [];
        while (given.length < left.length) given.push(parsePrefix(free("10.60.0.0/27", [...had, ...given.map(formatPrefix)], { exclude })));
        assert.deepEqual(given.map(formatPrefix).sort(), left.map(formatPrefix).sort());
        assert.ok(given.every((host) => contains(whole, host)));
        throwsWith("exhausted", "is used up", () => free("10.60.0.0/27", [...had, ...given.map(formatPrefix)], { exclude }));
      }),
    );
  });
});
