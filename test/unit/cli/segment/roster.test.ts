import assert from "node:assert/strict";
import { Segment } from "../../../../api/gen/isthmus/v1/segment.js";
import { NetworkServiceEndpoint } from "../../../../api/gen/registry/registry.js";
import { pick } from "../../../../cli/commands/ping.js";
import { rosterOf, segmentsOf } from "../../../../cli/segment/roster.js";
import { describedSegment, segmentView, segmentWords } from "../../../../cli/segment/view.js";
import { abroad, member, node, told } from "./world.js";

const paris = node("paris-1", "paris");
const tokyo = node("tokyo-1", "tokyo", { abroad: "192.0.2.1:51820", blocks: ["10.60.64.0/24", "fd60:1::/64"] });
const everybody = [
  ...told(paris, [member("web", { services: ["http:80/tcp"] }), member("camera", { announces: ["192.168.10.0/24"] })]),
  ...abroad(told(tokyo, [member("robot", { addresses: ["10.60.64.5", "fd60:1::5"] })]), "tokyo"),
  NetworkServiceEndpoint.fromPartial({ name: "echo-1", networkServiceNames: ["echo"] }),
];

describe("who is in a segment", () => {
  it("is told by name, with node and site, also of other sites", () => {
    const { members, nodes } = rosterOf(everybody, "plant");
    assert.deepEqual(
      members.map((one) => `${one.name} ${one.node} ${one.site} ${one.addresses} ${one.announces} ${one.services}`),
      [
        "camera paris-1 paris 10.60.0.5 192.168.10.0/24 ",
        "robot tokyo-1 tokyo 10.60.64.5,fd60:1::5  ",
        "web paris-1 paris 10.60.0.5  http:80/tcp",
      ],
    );
    assert.deepEqual(
      nodes.map((one) => `${one.node} ${one.site} ${one.members} ${one.blocks} ${one.abroad}`),
      ["paris-1 paris 2 10.60.0.0/24 ", "tokyo-1 tokyo 1 10.60.64.0/24,fd60:1::/64 192.0.2.1:51820"],
    );
    assert.deepEqual(rosterOf(everybody, "echo"), { nodes: [], members: [] });
    assert.deepEqual(segmentsOf(everybody), ["plant"]);
  });

  it("is told with the hosts behind a member", () => {
    const gate = member("gate", { behind: [{ mac: "02:00:00:00:01:01", sequence: 3 }] });
    assert.deepEqual(
      rosterOf(told(paris, [gate, member("web")]), "plant").members.map(({ behind }) => behind),
      [["02:00:00:00:01:01"], []],
    );
  });

  it("is believed to the later of two who say that they are one member", () => {
    const moved = [
      ...told(paris, [member("web", { sequence: 1 })]),
      ...told(tokyo, [member("web", { sequence: 2, addresses: ["10.60.64.9"] })]),
    ];
    for (const endpoints of [moved, [...moved].reverse()]) {
      const { members, nodes } = rosterOf(endpoints, "plant");
      assert.deepEqual(
        members.map((one) => `${one.node} ${one.addresses}`),
        ["tokyo-1 10.60.64.9"],
      );
      assert.deepEqual(
        nodes.map((one) => one.members),
        [0, 1],
      );
    }
  });

  it("is told without a node that has not told of itself", () => {
    const [, members] = abroad(told(tokyo, [member("robot")]), "tokyo");
    const { members: found } = rosterOf(members === undefined ? [] : [members], "plant");
    assert.deepEqual(
      found.map(({ name, node, site }) => [name, node, site]),
      [["robot", "", "tokyo"]],
    );
  });
});

describe("a member to ping", () => {
  const members = rosterOf(everybody, "plant").members;
  const there = (name: string, more = members) => pick(more, name, ["plant"]);

  it("is named by its first address", () => assert.equal(there("robot"), "10.60.64.5"));
  it("that is not there names those that are", () =>
    assert.throws(() => there("dog"), { code: "not-found", message: "no member dog in plant; there are: camera, robot, web" }));
  it("that two segments have is to be told more of", () => {
    const twice = [...members, ...rosterOf(told({ ...paris, segment: "floor" }, [member("web")]), "floor").members];
    assert.throws(() => there("web", twice), { code: "not-found", message: "plant and floor have a member web; say which with --segment" });
  });
  it("never is what ping could take for something else", () => {
    const evil = rosterOf(told(paris, [member("web", { addresses: ["-f", "--help"] })]), "plant").members;
    assert.throws(() => there("web", evil), { code: "not-found", message: /has no address/ });
  });
});

describe("a segment", () => {
  const view = segmentView(
    Segment.fromPartial({
      ...{ name: "plant", layer: "l3", prefixes: ["10.60.0.0/16", "fd60::/48"], home: "paris", version: 2, createdMs: 1_700_000_000_000 },
      siteBlocks: [{ site: "paris", prefixes: ["10.60.0.0/18", "fd60::/50"] }],
    }),
  );

  it("is shown in a line", () => {
    assert.equal(segmentWords(view), "plant: version 2, l3, 10.60.0.0/16 and fd60::/48, in paris");
    assert.equal(segmentWords({ ...view, layer: "l2", prefixes: [] }), "plant: version 2, l2, without addresses, in paris");
    const ruled = segmentView(Segment.fromPartial({ ...{ name: "plant", layer: "l2", home: "paris" }, policy: [{ to: { role: "plc" } }] }));
    assert.deepEqual(ruled.policy, ["all -> role=plc: everything"]);
    assert.equal(segmentWords(ruled), "plant: version 0, l2, without addresses, in paris, with 1 rule between members");
  });

  it("is described with its nodes, and its members by number", () => {
    assert.deepEqual(describedSegment(view, rosterOf(everybody, "plant"), { counters: [] }), {
      ...{ name: "plant", layer: "l3", prefixes: ["10.60.0.0/16", "fd60::/48"], sites: ["paris"], mtu: "auto", dnsDomain: "" },
      ...{
        allowLabels: {},
        exclude: [],
        floodUnknown: false,
        allowSpoofing: false,
        policy: [],
        home: "paris",
        version: 2,
        created: "2023-11-14T22:13:20.000Z",
      },
      siteBlocks: { paris: ["10.60.0.0/18", "fd60::/50"] },
      carries: 1366,
      nodes: [
        {
          ...{ name: "paris-1", site: "paris", members: 2, blocks: ["10.60.0.0/24"], tunnel: "10.1.0.2:51820", tunnelFromOtherSites: "" },
          ...{ mtu: 1366, vni: 9_000_000, id: "spiffe://paris/node/paris-1/forwarder", publicKey: "k=" },
        },
        {
          ...{ name: "tokyo-1", site: "tokyo", members: 1, blocks: ["10.60.64.0/24", "fd60:1::/64"], tunnel: "10.1.0.2:51820" },
          ...{
            tunnelFromOtherSites: "192.0.2.1:51820",
            mtu: 1366,
            vni: 9_000_000,
            id: "spiffe://tokyo/node/tokyo-1/forwarder",
            publicKey: "k=",
          },
        },
      ],
      members: 3,
      misdeeds: [],
      counters: [],
    });
  });

  it("names a member that floods, of those of the node that says so", () => {
    const misdeeds = { misdeeds: "web flooded 1700000000000 4000,robot spoofed 1700000000000 1" };
    const [said = assert.fail(), ...others] = everybody;
    const loud = { ...said, networkServiceLabels: { plant: { labels: { ...said.networkServiceLabels.plant?.labels, ...misdeeds } } } };
    const roster = rosterOf([loud, ...others], "plant");
    assert.deepEqual(
      roster.members.map(({ name, misdeeds }) => `${name} ${misdeeds.map(({ does }) => does)}`),
      ["camera ", "robot ", "web floods"],
    );
    const [{ meaning, ...one } = assert.fail(), ...more] = describedSegment(view, roster, { counters: [] }).misdeeds;
    const since = "2023-11-14T22:13:20.000Z";
    assert.deepEqual(one, { member: "web", node: "paris-1", site: "paris", does: "floods", since, droppedAtLeast: 4000 });
    assert.match(meaning, /is there a loop behind it\?$/);
    assert.equal(more.length, 0);
  });
});
