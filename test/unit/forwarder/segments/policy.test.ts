import assert from "node:assert/strict";
import fc from "fast-check";
import { MemberRule } from "../../../../api/gen/isthmus/v1/segment.js";
import { parseAddress, parseRange } from "../../../../core/ipam/address.js";
import { behindGroups } from "../../../../forwarder/segments/announced.js";
import { groupMembers, policyObjects } from "../../../../forwarder/segments/policy.js";

const rules = [
  MemberRule.fromPartial({ from: { role: "hmi" }, to: { role: "plc" }, ports: ["502/tcp", "161/udp"] }),
  MemberRule.fromPartial({ from: { zone: "a", role: "plc" } }),
];
const member = (labels: Record<string, string>, announces: string[] = []) => {
  return { labels, mac: "02:00:00:00:00:05", addresses: ["10.60.0.5", "fd60::5"], announces };
};

describe("a policy on a node", () => {
  it("is none without rules", () => {
    assert.deepEqual(policyObjects({ layer: "l3", policy: [] }, [member({ role: "hmi" })]), []);
    assert.deepEqual(groupMembers({ layer: "l3", policy: [] }, member({ role: "hmi" })), []);
  });

  it("has a group for all that have the same labels, whatever the order, and everybody in none", () => {
    const [one] = policyObjects({ layer: "l2", policy: rules }, []);
    const [again] = policyObjects({ layer: "l2", policy: [MemberRule.fromPartial({ from: { role: "plc", zone: "a" } })] }, []);
    assert.equal(one?.rules[1]?.from, again?.rules[0]?.from);
    assert.equal(one?.rules[1]?.to, undefined);
    assert.deepEqual(one?.rules[0]?.ports, [
      { protocol: "tcp", port: 502 },
      { protocol: "udp", port: 161 },
    ]);
    const names = one?.rules.flatMap(({ from, to }) => [from, to]) ?? [];
    assert.equal(new Set(names).size, 4);
  });

  it("knows members by their addresses on L3 and by their MAC address on L2, in all groups whose labels they have", () => {
    const [policy] = policyObjects({ layer: "l3", policy: rules }, []);
    const both = member({ role: "plc", zone: "a", more: "x" });
    assert.deepEqual(
      groupMembers({ layer: "l3", policy: rules }, both).map(({ group, address }) => [group, address]),
      [policy?.rules[0]?.to, policy?.rules[1]?.from].flatMap((group) => both.addresses.map((address) => [group, address])),
    );
    assert.deepEqual(
      groupMembers({ layer: "l2", policy: rules }, both).map(({ address }) => address),
      [both.mac, both.mac],
    );
    for (const labels of [{}, { role: "printer" }, { zone: "a" }])
      assert.deepEqual(groupMembers({ layer: "l3", policy: rules }, member(labels)), []);
    assert.deepEqual(groupMembers({ layer: "l3", policy: rules }, { ...both, labels: undefined as never }), []);
  });

  it("knows on L3 what lies behind members, and on L2 of none", () => {
    const all = [member({ role: "plc" }, ["192.168.10.0/24"]), member({ role: "guest" }, ["192.168.20.0/24"])];
    const [routed] = policyObjects({ layer: "l3", policy: rules }, all);
    assert.deepEqual(routed?.behind, { [routed?.rules[0]?.to ?? ""]: ["192.168.10.0/24"] });
    assert.deepEqual(policyObjects({ layer: "l2", policy: rules }, all)[0]?.behind, {});
  });
});

describe("what lies behind the members of groups", () => {
  it("goes by the longest prefix", () => {
    const found = behindGroups([
      { prefixes: ["192.168.0.0/16", "fd80::/64"], groups: ["hmi"] },
      { prefixes: ["192.168.10.0/24"], groups: ["plc"] },
      { prefixes: ["192.168.10.128/25", "192.168.255.0/24"], groups: [] },
      { prefixes: ["192.168.10.0/24"], groups: ["spare"] },
    ]);
    assert.deepEqual(found, {
      hmi: ["192.168.0.0-192.168.9.255", "192.168.11.0-192.168.254.255", "fd80::/64"],
      plc: ["192.168.10.0-192.168.10.127"],
      spare: ["192.168.10.0-192.168.10.127"],
    });
  });

  it("is for every address what a route by the longest prefix finds, and no two pieces of a group meet", () => {
    const prefix = fc.tuple(fc.nat(255), fc.integer({ min: 24, max: 32 })).map(([host, length]) => {
      const value = length === 32 ? host : host - (host % 2 ** (32 - length));
      return `10.0.0.${value}/${length}`;
    });
    const announcing = fc.record({ prefixes: fc.uniqueArray(prefix, { maxLength: 4 }), groups: fc.subarray(["a", "b", "c"]) });
    const inPiece = (piece: string, value: bigint) => {
      const [first = "", last = first] = piece.includes("-") ? piece.split("-") : [];
      if (first === "") return parseRange(piece).first <= value && value <= parseRange(piece).last;
      return parseAddress(first).value <= value && value <= parseAddress(last).value;
    };
    fc.assert(
      fc.property(fc.array(announcing, { maxLength: 6 }), (all) => {
        const found = behindGroups(all);
        for (let host = 0n; host < 256n; host++) {
          const value = (10n << 24n) + host;
          const having = all.flatMap(({ prefixes, groups }) =>
            prefixes.filter((text) => inPiece(text, value)).map((text) => ({ length: Number(text.split("/")[1]), groups })),
          );
          const longest = Math.max(...having.map(({ length }) => length));
          const right = new Set(having.filter(({ length }) => length === longest).flatMap(({ groups }) => groups));
          for (const group of ["a", "b", "c"])
            assert.equal((found[group] ?? []).filter((piece) => inPiece(piece, value)).length, right.has(group) ? 1 : 0);
        }
      }),
      { numRuns: 60 },
    );
  });
});
