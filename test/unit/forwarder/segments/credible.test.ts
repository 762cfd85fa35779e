import assert from "node:assert/strict";
import type { SegmentMember } from "../../../../core/segment/membership.js";
import type { StickyWord } from "../../../../core/segment/stickyWord.js";
import { bridgeMac, gatewayMac, memberMac, trunkMac } from "../../../../forwarder/segments/addressing.js";
import { credible, type Hearing } from "../../../../forwarder/segments/credible.js";
import type { Remote } from "../../../../forwarder/segments/part.js";

const siteBlocks = [
  { site: "paris", prefixes: ["10.60.0.0/18", "fd60::/50"] },
  { site: "tokyo", prefixes: ["10.60.64.0/18", "fd60:0:0:4000::/50"] },
];
const l3 = { name: "plant", layer: "l3", prefixes: ["10.60.0.0/16", "fd60::/48"], siteBlocks, allowSpoofing: false };
const l2 = { ...l3, layer: "l2" };
const own = { site: "paris", tunnel: "fd00::1", blocks: ["10.60.0.0/24", "fd60::/64"], members: [member("10.60.0.2")] };

function member(address: string, part: Partial<SegmentMember> = {}): SegmentMember {
  const mac = memberMac("plant", address);
  return { name: "m", mac, addresses: [address], announces: [], services: [], sequence: 1, ...part };
}

function remote(site: string, blocks: readonly string[], members: readonly SegmentMember[] = [], node = "x"): Remote {
  const id = `spiffe://${site}/node/${node}/forwarder`;
  const ends = { publicKey: "k", vni: 9_000_001, at: "192.0.2.1:1", abroad: undefined, mtu: 0 };
  return { segment: "plant", id, node, site, ...ends, tunnel: "fd00::2", blocks, members };
}

/** What counts of each node, and what does not. */
function heard(segment: Hearing["segment"], ...remotes: readonly Remote[]) {
  return heardWith([], segment, ...remotes);
}

/** The same where the segment's home has said something of sticky names. */
function heardWith(sticky: readonly StickyWord[], segment: Hearing["segment"], ...remotes: readonly Remote[]) {
  const { remotes: believed, doubts } = credible({ segment, own, remotes, sticky });
  return { ...believed[0], believed, doubts: doubts.map(({ what, example }) => `${what} ${example}`) };
}

const block = ["10.60.64.0/24", "fd60:0:0:4000::/64"];

describe("what counts of other nodes' words", () => {
  it("is all of it where it is theirs to say, the very same members", () => {
    const honest = remote("tokyo", block, [member("10.60.64.5", { announces: ["192.168.10.0/24"] }), member("10.60.127.9")]);
    for (const segment of [l2, l3]) {
      const { doubts, members } = heard(segment, honest);
      assert.deepEqual(doubts, []);
      assert.equal(members?.[0], honest.members[0]);
      assert.equal(members?.[1], honest.members[1]);
    }
  });

  const blocks: readonly [what: string, block: string][] = [
    ["everything", "0.0.0.0/0"],
    ["the whole segment", "10.60.0.0/16"],
    ["the whole part of its site", "10.60.64.0/18"],
    ["a half of what a node has", "10.60.64.0/25"],
    ["a block of another site", "10.60.4.0/24"],
    ["this node's block", "10.60.0.0/24"],
    ["an address in this node's block", "10.60.0.2/32"],
    ["something outside of the segment", "10.61.64.0/24"],
    ["something of a family that the segment has not", "192.0.2.0/24"],
  ];
  for (const [what, wrong] of blocks)
    it(`is not that a node has ${what}`, () => {
      const found = heard(l3, remote("tokyo", [...block, wrong]));
      assert.deepEqual([found.blocks, found.doubts], [block, [`block ${wrong}`]]);
    });

  it("is not that a node of a site without a part has anything", () => {
    assert.deepEqual(heard(l3, remote("osaka", ["10.60.128.0/24"])).blocks, []);
  });

  it("is of two nodes that say to have the same the first's, each time", () => {
    const two = [remote("tokyo", block, [], "x"), remote("tokyo", [...block, "10.60.64.9/32"], [], "y")];
    assert.deepEqual(
      heard(l3, ...two).believed.map(({ blocks }) => blocks),
      [block, []],
    );
  });

  it("is the block around a single address that the node had before", () => {
    assert.deepEqual(heard(l3, remote("tokyo", ["10.60.64.9/32", ...block])).doubts, []);
  });

  const addresses: readonly [what: string, address: string][] = [
    ["of a member of this node", "10.60.0.2"],
    ["that this node may give", "10.60.0.99"],
    ["of the router of this node", "10.60.0.1"],
    ["in another node's block", "10.60.68.7"],
    ["outside of the segment", "192.168.1.1"],
    ["of every node's gateway", "169.254.1.1"],
    ["of another site's part that is nobody's", "10.60.5.5"],
  ];
  for (const [what, address] of addresses)
    it(`is not that a member has an address ${what}`, () => {
      const wrong = member("10.60.64.5", { addresses: ["10.60.64.5", address] });
      const other = remote("tokyo", ["10.60.68.0/24"], [], "y");
      for (const segment of [l2, l3]) {
        const { members, doubts } = heard(segment, remote("tokyo", block, [wrong]), other);
        assert.deepEqual([members?.[0]?.addresses, doubts], [["10.60.64.5"], [`address ${address}`]]);
      }
    });

  it("is not that something inside the segment is behind a member, or too much of anything", () => {
    const inside = member("10.60.64.5", { announces: ["10.60.0.2/32", "10.0.0.0/8", "fd60::/32", "192.168.10.0/24"] });
    const { members, doubts } = heard(l3, remote("tokyo", block, [inside]));
    assert.deepEqual(members?.[0]?.announces, ["192.168.10.0/24"]);
    assert.deepEqual(
      doubts,
      ["prefix 10.0.0.0/8", "prefix 10.60.0.2/32", "prefix fd60::/32"].sort((a, b) => doubts.indexOf(a) - doubts.indexOf(b)),
    );
    const many = Array.from({ length: 4_100 }, (_, at) => member("10.60.64.5", { name: `m${at}`, announces: [`172.16.${at % 256}.0/24`] }));
    const found = heard(l3, remote("tokyo", block, many)).members ?? [];
    assert.equal(found.length, 4_096);
    assert.equal(
      found.reduce((sum, { announces }) => sum + announces.length, 0),
      256,
    );
  });

  it("is not, in an L2 segment, that a member has a MAC address which is somebody's for sure", () => {
    const victim = remote("tokyo", ["10.60.68.0/24"], [member("10.60.68.5")], "y");
    const theirs = [
      gatewayMac,
      trunkMac("fd00::1"),
      bridgeMac("fd00::1"),
      memberMac("plant", "10.60.0.2"),
      memberMac("plant", "10.60.68.5"),
    ];
    for (const mac of theirs) {
      const thief = remote("tokyo", block, [member("10.60.64.5", { mac, sequence: 1e15 }), member("10.60.64.6")], "a");
      const { believed, doubts } = heard(l2, thief, victim);
      assert.deepEqual([believed[0]?.members, believed[1]?.members], [[thief.members[1]], victim.members], mac);
      assert.deepEqual(doubts, [`mac ${mac}`]);
      assert.deepEqual(heard(l3, thief, victim).doubts, [], "L3 has no MAC addresses of others");
    }
  });

  const idOf = (site: string) => `spiffe://${site}/node/x/forwarder`;
  const cam = (sequence: number, part: Partial<SegmentMember> = {}) => member("10.60.63.9", { name: "cam", sequence, ...part });
  const wordOf = (...claims: readonly string[]): StickyWord => ({
    ...{ name: "cam", addresses: ["10.60.63.9"] },
    claims: claims.map((text) => ({ id: idOf(text.split(" ")[0] ?? ""), sequence: Number(text.split(" ")[1]) })),
  });
  /** `tokyo 2`, for who has cam as far as is believed. */
  const having = (sticky: readonly StickyWord[], segment: Hearing["segment"], ...remotes: readonly Remote[]) =>
    heardWith(sticky, segment, ...remotes).believed.flatMap(({ site, members }) =>
      members.flatMap(({ addresses, sequence }) => (addresses.length > 0 ? `${site} ${sequence}` : [])),
    );

  for (const segment of [l2, l3]) {
    it(`is, in an ${segment.layer} segment, that a node has a sticky name which it claimed, as the segment's home says`, () => {
      const [tokyo, osaka] = [remote("tokyo", block, [cam(2)]), remote("osaka", [], [cam(1)])];
      assert.deepEqual(having([wordOf("tokyo 2")], segment, tokyo, osaka), ["tokyo 2"]);
      // That osaka's has moved may not have been heard there.
      assert.deepEqual(having([wordOf("tokyo 2", "osaka 1")], segment, tokyo, osaka), ["tokyo 2", "osaka 1"]);
      assert.equal(heardWith([wordOf("tokyo 2")], segment, tokyo, osaka).doubts.length, 0);
    });

    it(`is not, in an ${segment.layer} segment, that a node has a sticky name which nobody said to be its, or claimed it later`, () => {
      assert.deepEqual(having([], segment, remote("tokyo", block, [cam(9)])), []);
      assert.deepEqual(having([wordOf("osaka 1")], segment, remote("tokyo", block, [cam(9)]), remote("osaka", [], [cam(1)])), ["osaka 1"]);
      const own = cam(9, { addresses: ["10.60.64.5", "10.60.63.9"] });
      assert.deepEqual(having([wordOf("osaka 1")], segment, remote("tokyo", block, [own])), [], "nor together with its own");
      assert.deepEqual(having([wordOf("tokyo 2")], segment, remote("tokyo", block, [cam(9)])), ["tokyo 2"]);
    });
  }

  it("counts the later of two names that had one address", () => {
    const [before, now] = [wordOf("osaka 3"), { ...wordOf("tokyo 4"), name: "door" }];
    for (const words of [
      [before, now],
      [now, before],
    ])
      assert.deepEqual(having(words, l3, remote("tokyo", block, [cam(4)]), remote("osaka", [], [cam(3)])), ["tokyo 4"]);
  });

  it("does not mistake an address in a node's block for that of a name that was given up", () => {
    assert.deepEqual(having([wordOf("osaka 3")], l3, remote("paris", ["10.60.63.0/24"], [cam(1)])), ["paris 1"]);
  });

  it("is not that a member which has no sticky name has come later than others", () => {
    assert.deepEqual(having([], l2, remote("tokyo", block, [member("10.60.64.5", { sequence: 1e15 })])), ["tokyo 1"]);
  });

  it("is not, in an L2 segment, that somebody has the MAC address of a sticky name but who claimed it", () => {
    const nameless: StickyWord = { name: "door", addresses: [], claims: wordOf("osaka 1").claims };
    for (const [word, from] of [
      [wordOf("osaka 1"), "10.60.63.9"],
      [nameless, "door"],
    ] as const) {
      const mac = memberMac("plant", from);
      const [thief, honest] = [member("10.60.64.5", { mac }), member("", { mac, addresses: word.addresses })];
      const { believed, doubts } = heardWith([word], l2, remote("tokyo", block, [thief]), remote("osaka", [], [honest]));
      assert.deepEqual([believed[0]?.members, believed[1]?.members, doubts], [[], [honest], [`mac ${mac}`]]);
      const bare = { ...thief, addresses: [], sequence: 9 };
      assert.deepEqual(heardWith([word], l2, remote("tokyo", block, [bare])).members, []);
    }
  });

  it("is that hosts are behind its members only where members may bridge for others, so many, and nobody's MAC for sure", () => {
    const bridged = { ...l2, allowSpoofing: true };
    const hosts = ["02:00:00:00:01:01", memberMac("plant", "10.60.0.2"), bridgeMac("fd00::1")].map((mac) => ({ mac, sequence: 1 }));
    const told = remote("tokyo", block, [member("10.60.64.5", { behind: hosts })]);
    assert.deepEqual(
      heard(l2, told).members?.map(({ behind }) => behind),
      [undefined],
    );
    const { members, doubts } = heard(bridged, told);
    assert.deepEqual(members?.[0]?.behind, [hosts[0]]);
    assert.deepEqual(doubts, [`host ${hosts[1]?.mac}`, `host ${hosts[2]?.mac}`]);
    const honest = remote("tokyo", block, [member("10.60.64.5", { behind: hosts.slice(0, 1) })]);
    assert.equal(heard(bridged, honest).members?.[0], honest.members[0], "the very same");
    const many = Array.from({ length: 17 }, (_, at) =>
      member(`10.60.64.${at}`, {
        name: `m${at}`,
        behind: Array.from({ length: 64 }, (_, host) => ({ mac: `02:00:00:00:${16 + at}:${16 + host}`, sequence: 1 })),
      }),
    );
    assert.equal((heard(bridged, remote("tokyo", block, many)).members ?? []).flatMap(({ behind = [] }) => behind).length, 1_024);
  });
});
