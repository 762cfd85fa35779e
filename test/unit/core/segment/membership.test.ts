import assert from "node:assert/strict";
import { NetworkServiceEndpoint } from "../../../../api/gen/registry/registry.js";
import {
  farewellLabels,
  memberLabels,
  membershipName,
  membershipOf,
  nodeLabels,
  type SegmentMember,
  type SegmentNode,
} from "../../../../core/segment/membership.js";

const node: SegmentNode = {
  segment: "plant",
  id: "spiffe://paris/node/a/forwarder",
  node: "paris-1",
  site: "paris",
  publicKey: "k=",
  vni: 9_000_000,
  at: "10.1.0.2:51820",
  abroad: undefined,
  blocks: ["10.60.0.0/24", "fd60::/64"],
  mtu: 1366,
};
const camera: SegmentMember = {
  ...{ name: "camera", mac: "02:00:00:00:00:01", addresses: ["10.60.0.5", "fd60::5"], announces: [], sequence: 3 },
  services: [],
};
const gateway: SegmentMember = { ...camera, name: "gw", addresses: [], announces: ["192.168.10.0/24"] };
const web: SegmentMember = { ...camera, name: "web", services: ["http:80/tcp", "http:443/tcp", "chat"] };

function endpoint(labels: Record<string, string>) {
  return NetworkServiceEndpoint.fromPartial({ name: "x", networkServiceNames: ["plant"], networkServiceLabels: { plant: { labels } } });
}

describe("membership in a segment", () => {
  it("says of a node what it said", () => {
    assert.deepEqual(membershipOf(endpoint(nodeLabels(node)), "plant"), { kind: "node", node });
    const reached = { ...node, abroad: "192.0.2.1:51820" };
    assert.deepEqual(membershipOf(endpoint(nodeLabels(reached)), "plant"), { kind: "node", node: reached });
  });

  it("says of a node with more single addresses than have room all its other blocks, and no more than is taken", () => {
    const singles = Array.from({ length: 1_000 }, (_, at) => `10.60.${100 + (at >> 8)}.${at & 255}/32`);
    const labels = nodeLabels({ ...node, blocks: [...singles, ...node.blocks] });
    assert.ok((labels.blocks ?? "").length <= 8_192);
    const said = membershipOf(endpoint(labels), "plant");
    assert.deepEqual(said?.kind === "node" && said.node.blocks.slice(0, 3), [...node.blocks, singles[0]]);
  });

  it("says of members what was said, with and without addresses and services", () => {
    const said = membershipOf(endpoint(memberLabels(node.id, [camera, gateway, web])), "plant");
    assert.deepEqual(said, { kind: "members", segment: "plant", id: node.id, members: [camera, gateway, web] });
  });

  it("says who is behind a member, as many as are taken, and leaves out what is no host", () => {
    const hosts = Array.from({ length: 70 }, (_, at) => ({ mac: `02:00:00:00:01:${(at + 16).toString(16)}`, sequence: at }));
    const labels = memberLabels(node.id, [{ ...camera, behind: hosts.slice(0, 2) }, { ...web, behind: hosts }, gateway]);
    const said = membershipOf(endpoint(labels), "plant");
    assert.deepEqual(said?.kind === "members" && said.members.map(({ behind }) => behind?.length), [2, 64, undefined]);
    assert.deepEqual(said?.kind === "members" && said.members[0], { ...camera, behind: hosts.slice(0, 2) });
    const odd = `${camera.mac} 3 10.60.0.5   01:00:5e:00:00:01/1,02:00:00:00:01:10/x,02:00:00:00:01:11,02:00:00:00:01:12/7`;
    const heard = membershipOf(endpoint({ id: node.id, "member.camera": odd }), "plant");
    assert.deepEqual(heard?.kind === "members" && heard.members[0]?.behind, [{ mac: "02:00:00:00:01:12", sequence: 7 }]);
  });

  it("says by which labels a policy knows a member, with and without services, and no others than a policy can name", () => {
    const labelled = { ...camera, labels: { role: "plc", zone: "hall-3" } };
    const server = { ...web, labels: { role: "hmi" } };
    const said = membershipOf(endpoint(memberLabels(node.id, [labelled, server])), "plant");
    assert.deepEqual(said, { kind: "members", segment: "plant", id: node.id, members: [labelled, server] });
    const many = Array.from({ length: 20 }, (_, at) => `k${at}=v`).join(",");
    const text = `${camera.mac} 3 10.60.0.5,fd60::5    role=plc,__proto__=x,=y,z=,a=\u0007,${many}`;
    const told = membershipOf(endpoint({ id: node.id, "member.camera": text }), "plant");
    const [member] = told?.kind === "members" ? told.members : [];
    assert.deepEqual([Object.keys(member?.labels ?? {}).length, member?.labels?.role, member?.labels?.k14], [16, "plc", "v"]);
  });

  it("says farewell", () => {
    const said = membershipOf(endpoint(farewellLabels(node.id)), "plant");
    assert.deepEqual(said, { kind: "farewell", segment: "plant", id: node.id });
  });

  it("leaves out what it does not understand", () => {
    assert.equal(membershipOf(endpoint({ app: "web" }), "plant"), undefined);
    assert.equal(membershipOf(endpoint({ ...nodeLabels(node), vni: "x" }), "plant"), undefined);
    const said = membershipOf(endpoint({ id: node.id, "member.bad": "no mac" }), "plant");
    assert.deepEqual(said, { kind: "members", segment: "plant", id: node.id, members: [] });
  });

  it("leaves out names, addresses and prefixes that are none, or are not for hosts", () => {
    const blocks = "10.60.0.0/24,nonsense,10.60.1.1/24,fd60:0::/64";
    const said = membershipOf(endpoint({ ...nodeLabels(node), blocks, mtu: "68" }), "plant");
    assert.deepEqual(said, { kind: "node", node: { ...node, blocks: ["10.60.0.0/24"], mtu: 0 } });
    for (const wrong of [{ node: "\u001b[2J" }, { at: "10.1.0.2:1\t" }, { key: "k\n" }])
      assert.equal(membershipOf(endpoint({ ...nodeLabels(node), ...wrong }), "plant"), undefined);
    const text = `${camera.mac} 1 10.60.0.5,10.60.0.500,fd60:0::5,fd60::5%eth0 192.168.10.0/24,0.0.0.0/0,::/1,x,127.0.0.0/8`;
    const wrong = ["01:00:5e:00:00:01", "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"].map((mac, at) => [`member.m${at}`, `${mac} 1 10.60.0.6`]);
    const told = membershipOf(endpoint({ id: node.id, ...Object.fromEntries(wrong), "member.camera": text, "member.a.b": text }), "plant");
    assert.deepEqual(told, {
      ...{ kind: "members", segment: "plant", id: node.id },
      members: [{ ...camera, sequence: 1, addresses: ["10.60.0.5"], announces: ["192.168.10.0/24"] }],
    });
  });

  it("reads a member that is told again in the same words as the same one", () => {
    const members = (...told: SegmentMember[]) => {
      const said = membershipOf(endpoint(memberLabels(node.id, told)), "plant");
      return said?.kind === "members" ? said.members : [];
    };
    const [first] = members(camera, gateway);
    assert.equal(members(camera, web)[0], first);
    assert.notEqual(members({ ...camera, sequence: 4 })[0], first);
  });

  it("names endpoints by segment, forwarder and number", () => {
    assert.equal(membershipName("plant", "forwarder-a"), "plant.forwarder-a");
    assert.equal(membershipName("plant", "forwarder-a", 2), "plant.forwarder-a.2");
  });
});
