import assert from "node:assert/strict";
import { Segment } from "../../../../api/gen/isthmus/v1/segment.js";
import { trunkAddress, trunkMac } from "../../../../forwarder/segments/addressing.js";
import type { SegmentView } from "../../../../forwarder/segments/devices.js";
import { memberUnits, remoteObjects, trunkObjects } from "../../../../forwarder/segments/objects.js";
import type { Member, Part, Remote } from "../../../../forwarder/segments/part.js";
import { additions } from "../../../../kernel/commands.js";
import type { KernelObject } from "../../../../kernel/model.js";

const tunnel = { address: "fd00::1", vxlanPort: 4789 } as SegmentView["tunnel"];
const view: SegmentView = { tunnel, mtu: 1366, mtuTo: () => undefined, routers: ["10.60.0.1"] };
const pod = { path: "/run/netns/camera", cookie: "7" };

function partOf(layer: "l2" | "l3", more: Partial<Segment> = {}): Part {
  const segment = Segment.fromPartial({ name: "plant", layer, prefixes: ["10.60.0.0/16"], ...more });
  return { segment, vni: 9_000_001, blocks: ["10.60.0.0/24"] };
}

function memberOf(more: Partial<Member> = {}): Member {
  const side = { kind: "kernel", mechanism: { cls: "LOCAL", type: "KERNEL", parameters: {} }, pod, name: "nsm0" } as const;
  const own = { id: "1", segment: "plant", name: "camera", mac: "02:00:00:00:00:05", addresses: ["10.60.0.5"] };
  return { ...own, side, announces: [], services: [], spoofing: false, beside: false, sticky: "", sequence: 1, ...more };
}

function remoteOf(tunnelAddress: string, more: Partial<Remote> = {}): Remote {
  const ends = { publicKey: "k=", vni: 8_500_000, at: "192.0.2.2:51820", abroad: undefined };
  const node = { segment: "plant", id: `spiffe://paris/${tunnelAddress}`, node: "b", site: "paris", ...ends };
  return { ...node, mtu: 1366, blocks: ["10.60.1.0/24"], tunnel: tunnelAddress, members: [], ...more };
}

const text = (objects: readonly KernelObject[]): string => objects.flatMap(additions).join("\n");
const told = (name: string, address: string, more: Partial<Remote["members"][number]> = {}) => {
  return { name, mac: "02:00:00:00:00:09", addresses: [address], announces: [], services: [], sequence: 1, ...more };
};

describe("what a segment has in the kernel", () => {
  it("L3: leads to another node's block over its link-local address, which nobody asks for", () => {
    const found = text(trunkObjects(partOf("l3"), [remoteOf("fd00::2")], view));
    const [via, mac] = [trunkAddress("fd00::2"), trunkMac("fd00::2")];
    for (const line of [
      "ip address add 10.60.0.1/32 dev lo",
      `ip route add 10.60.1.0/24 via inet6 ${via} dev isthmus-trunk proto 105 onlink`,
      `ip neighbour replace ${via} lladdr ${mac} dev isthmus-trunk nud permanent`,
      `bridge fdb replace ${mac} dev isthmus-trunk dst fd00::2 vni 8500000`,
    ])
      assert.ok(found.includes(line), `${line}\nis not in\n${found}`);
    assert.match(found, /fd00::2.*9000001|9000001.*fd00::2/, "only from there is something let in");
  });

  it("L3: leads to a member's address outside of all blocks, and to what is behind one, over all nodes that have it", () => {
    const lan = { announces: ["192.168.10.0/24"] };
    const one = remoteOf("fd00::2", { members: [told("gate", "10.60.200.7", lan)] });
    const two = remoteOf("fd00::3", { blocks: ["10.60.2.0/24"], members: [told("gate2", "10.60.2.7", lan)] });
    const routes = trunkObjects(partOf("l3"), [one, two], view).filter((object) => object.kind === "route");
    const vias = (prefix: string) => routes.filter((route) => route.prefix === prefix).flatMap(({ via = "", hops }) => hops ?? [via]);
    assert.deepEqual(vias("10.60.200.7/32"), [trunkAddress("fd00::2")]);
    assert.deepEqual(vias("192.168.10.0/24"), [trunkAddress("fd00::2"), trunkAddress("fd00::3")].sort());
    assert.deepEqual(vias("10.60.2.7/32"), [], "its block covers it");
  });

  it("L3: says the MTU of a way that carries less than the others", () => {
    const narrow = { ...view, mtuTo: (to: string) => (to === "fd00::3" ? 1280 : undefined) };
    const two = remoteOf("fd00::3", { blocks: ["10.60.2.0/24"] });
    const routes = trunkObjects(partOf("l3"), [remoteOf("fd00::2"), two], narrow).filter((object) => object.kind === "route");
    assert.deepEqual(
      routes.map(({ prefix, mtu }) => [prefix, mtu]),
      [
        ["10.60.1.0/24", undefined],
        ["10.60.2.0/24", 1280],
      ],
    );
  });

  it("L3: keeps the trunk large enough for its IPv6 next hops, and says of its routes what ways carry", () => {
    const objects = trunkObjects(partOf("l3"), [remoteOf("fd00::2")], { ...view, mtu: 1258 });
    assert.deepEqual(
      objects.flatMap((object) => (object.kind === "vxlan" || object.kind === "route" ? [[object.kind, object.mtu]] : [])),
      [
        ["vxlan", 1280],
        ["route", 1258],
      ],
    );
  });

  it("L3: gives a pod that has the same prefix already routes of its own, for what it sends from there", () => {
    const found = memberUnits(partOf("l3").segment, memberOf({ beside: true }), view, []).own;
    assert.deepEqual(
      found.filter((object) => object.kind === "rule").map(({ from }) => from),
      ["10.60.0.5/32"],
    );
    const inPod = found.filter((object) => object.kind === "route" && object.where !== "mesh");
    assert.ok(inPod.length === 1 && inPod.every((route) => route.kind === "route" && route.table !== undefined));
  });

  it("L2: sends what is for all once to each node, what is for a member to its node, and answers for its address", () => {
    const [part, remote] = [partOf("l2"), remoteOf("fd00::2")];
    const found = text([...trunkObjects(part, [remote], view), ...remoteObjects(part.segment, remote, told("cam", "10.60.1.9"))]);
    for (const line of [
      "bridge fdb append 00:00:00:00:00:00 dev isthmus-trunk dst fd00::2 vni 8500000",
      "bridge fdb replace 02:00:00:00:00:09 dev isthmus-trunk dst fd00::2 vni 8500000",
      "ip neighbour replace 10.60.1.9 lladdr 02:00:00:00:00:09 dev isthmus-bridge nud permanent",
      "ip address add 10.60.0.1/16 dev isthmus-bridge",
    ])
      assert.ok(found.includes(line), `${line}\nis not in\n${found}`);
  });

  it("L2: leads to hosts behind a member of another node, until they speak on this one", () => {
    const behind = [{ mac: "02:00:00:00:01:01", sequence: 4 }];
    const found = text(remoteObjects(partOf("l2").segment, remoteOf("fd00::2"), told("bridge", "10.60.1.9", { behind })));
    for (const line of [
      "bridge fdb replace 02:00:00:00:01:01 dev isthmus-trunk dst fd00::2 vni 8500000",
      "bridge fdb replace 02:00:00:00:01:01 dev isthmus-trunk master dynamic extern_learn",
    ])
      assert.ok(found.includes(line), `${line}\nis not in\n${found}`);
  });

  it("L2: lets a member send what is its own, on the link that its whole prefix is", () => {
    const found = memberUnits(partOf("l2").segment, memberOf(), view, []).own;
    const guard = found.find((object) => object.kind === "guard");
    assert.deepEqual([guard?.mac, guard?.addresses, guard?.spoofing], ["02:00:00:00:00:05", ["10.60.0.5"], false]);
    assert.deepEqual(
      found.filter((object) => object.kind === "address").map(({ address }) => address),
      ["10.60.0.5/16"],
    );
    const port = found.find((object) => object.kind === "port");
    assert.deepEqual([port?.bridge?.flood, port?.bridge?.learning], [false, false]);
  });
});
