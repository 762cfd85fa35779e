import assert from "node:assert/strict";
import fc from "fast-check";
import { MeshError } from "../../../../core/error.js";
import { rangesMeet } from "../../../../core/ipam/address.js";
import { contains, formatPrefix, parsePrefix } from "../../../../core/ipam/prefix.js";
import { choose, type Given } from "../../../../core/segment/choose.js";
import { throwsWith } from "../../../lib/chainKit.js";

const node = (number: number) => `spiffe://paris/node/paris-${number}/nsmgr`;
const forwarder = (number: number) => `spiffe://paris/node/paris-${number}/forwarder`;
const given = (prefix: string, number: number): Given => ({ prefix: parsePrefix(prefix), owner: node(number), holder: forwarder(number) });

/** What a node is given of a /27, in blocks of eight addresses, or of an IPv6 /118. */
function ask(number: number, prefix: string, has: readonly Given[] = [], exclude: readonly string[] = []) {
  const from = { site: "paris", prefix: parsePrefix(prefix.includes(":") ? "fd60::/118" : "10.60.0.0/27") };
  const { prefix: chosen, known } = choose({
    ...given(prefix, number),
    ...{ segment: "plant", from, given: has, exclude: exclude.map(parsePrefix) },
  });
  return `${formatPrefix(chosen)}${known ? " again" : ""}`;
}

describe("choosing a node's block", () => {
  it("takes the lowest that is free, of the family that is asked for", () => {
    assert.equal(ask(1, "0.0.0.0/0"), "10.60.0.0/29");
    assert.equal(ask(1, "::/0", [given("10.60.0.0/29", 2)]), "fd60::/120");
    assert.equal(ask(1, "0.0.0.0/0", [given("10.60.0.0/29", 2), given("10.60.0.16/29", 3)]), "10.60.0.8/29");
  });

  it("gives again what the node has and does not name, and then another", () => {
    const has = [given("10.60.0.0/29", 2), given("10.60.0.8/29", 1)];
    assert.equal(ask(1, "0.0.0.0/0", has), "10.60.0.8/29 again");
    assert.equal(ask(1, "0.0.0.0/0", has, ["10.60.0.8/29"]), "10.60.0.16/29");
    assert.equal(ask(1, "10.60.0.8/29", has), "10.60.0.8/29 again");
  });

  it("does not take another program of the same node for the one that asks", () => {
    const has = [{ ...given("10.60.0.0/29", 1), holder: "spiffe://paris/node/paris-1/forwarder-2" }];
    assert.equal(ask(1, "0.0.0.0/0", has), "10.60.0.8/29");
    throwsWith("exists", "10.60.0.0/29 is spiffe://paris/node/paris-1/forwarder-2's", () => ask(1, "10.60.0.0/29", has));
  });

  it("leaves out a block of which nothing is left, not one with a few addresses less", () => {
    assert.equal(ask(1, "0.0.0.0/0", [], ["10.60.0.0/30", "10.60.0.4/30"]), "10.60.0.8/29");
    assert.equal(ask(1, "0.0.0.0/0", [], ["10.60.0.0/30", "10.60.0.5"]), "10.60.0.0/29");
    assert.equal(ask(1, "0.0.0.0/0", [], ["10.60.0.0/28", "fd60::/64", "10.0.0.0/24"]), "10.60.0.16/29");
  });

  it("gives a fixed address, and no block around another's", () => {
    const has = [given("10.60.0.5", 2), given("10.60.0.9", 1)];
    assert.equal(ask(1, "10.60.0.4", has), "10.60.0.4/32");
    assert.equal(ask(1, "10.60.0.9", has), "10.60.0.9/32 again");
    throwsWith("exists", "10.60.0.5 of the segment plant cannot be given: 10.60.0.5 is spiffe://paris/node/paris-2/forwarder's", () =>
      ask(1, "10.60.0.5", has),
    );
    throwsWith("exists", "10.60.0.0/29 of the segment plant cannot be given: 10.60.0.5 is", () => ask(1, "10.60.0.0/29", has));
    assert.equal(ask(1, "0.0.0.0/0", has), "10.60.0.8/29");
    assert.equal(ask(3, "0.0.0.0/0", has), "10.60.0.16/29");
    assert.equal(ask(1, "10.60.0.17", [given("10.60.0.16/29", 1)]), "10.60.0.17/32 again");
    throwsWith(
      "exists",
      "10.60.0.17 of the segment plant cannot be given: it lies in 10.60.0.16/29, which is spiffe://paris/node/paris-2/forwarder's to give; ask for another, or for none",
      () => ask(1, "10.60.0.17", [given("10.60.0.16/29", 2)]),
    );
  });

  it("says what it gives to who asks for something else", () => {
    throwsWith(
      "invalid",
      "10.60.0.0/28 of the segment plant is no block that paris gives; it gives /29 and single addresses out of 10.60.0.0/27",
      () => ask(1, "10.60.0.0/28"),
    );
    throwsWith("invalid", "10.60.1.0/29 of the segment plant is not paris's to give; that gives out 10.60.0.0/27, choose of those", () =>
      ask(1, "10.60.1.0/29"),
    );
  });

  it("says who has how much when it is used up", () => {
    const has = [given("10.60.0.0/29", 1), given("10.60.0.8/29", 2), given("10.60.0.16/29", 2), given("10.60.0.24", 3)];
    throwsWith(
      "exhausted",
      "10.60.0.0/27, what paris gives out of the segment plant, is used up: 3 of 4 blocks of 8 addresses are given, 2 to spiffe://paris/node/paris-2/nsmgr, 1 to spiffe://paris/node/paris-1/nsmgr, besides 1 single address",
      () => ask(4, "0.0.0.0/0", has),
    );
    throwsWith("exhausted", "0 of 4 blocks of 8 addresses are given, none to any node, besides what is excluded", () =>
      ask(4, "0.0.0.0/0", [], ["10.60.0.0/16"]),
    );
    throwsWith("exhausted", "blocks of /120 are given", () =>
      ask(
        4,
        "::/0",
        [0, 1, 2, 3].map((at) => given(`fd60::${at}00/120`, at)),
      ),
    );
  });

  it("gives nobody an address of another's, whatever was asked before", () => {
    const wanted = fc.oneof(
      fc.constantFrom("0.0.0.0/0", "::/0"),
      fc.nat(3).map((at) => `10.60.0.${8 * at}/29`),
      fc.nat(31).map((at) => `10.60.0.${at}`),
      fc.nat(3).map((at) => `fd60::${at}00/120`),
      fc.nat(1023).map((at) => `fd60::${at.toString(16)}`),
    );
    const steps = fc.array(fc.tuple(fc.integer({ min: 1, max: 4 }), wanted, fc.subarray(["10.60.0.0/29", "10.60.0.9", "fd60::/120"])), {
      maxLength: 40,
    });
    const property = fc.property(steps, (all) => {
      const has: Given[] = [];
      for (const [number, prefix, exclude] of all) {
        try {
          const [block = "", again] = ask(number, prefix, has, exclude).split(" ");
          const one = given(block, number);
          assert.ok(has.every((other) => other.owner === one.owner || !rangesMeet(other.prefix, one.prefix)));
          if (again === undefined) has.push(one);
          else assert.ok(has.some((other) => other.owner === one.owner && contains(other.prefix, one.prefix)));
        } catch (error) {
          if (!(error instanceof MeshError) || !["exists", "exhausted"].includes(error.code)) throw error;
        }
      }
    });
    fc.assert(property, { numRuns: 300 });
  });
});
