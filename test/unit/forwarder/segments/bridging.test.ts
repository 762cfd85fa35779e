import assert from "node:assert/strict";
import { EthernetContext } from "../../../../api/gen/connectioncontext/connectioncontext.js";
import { NetworkServiceEndpoint } from "../../../../api/gen/registry/registry.js";
import { withContext } from "../../../../core/context.js";
import { type BehindHost, memberLabels, membershipOf, nodeLabels } from "../../../../core/segment/membership.js";
import { until } from "../../../lib/until.js";
import { asked, type Pretended, World } from "../world.js";

const floor = { name: "floor", layer: "l2", prefixes: ["10.60.0.0/16"], allowSpoofing: true };
const [host, other] = ["02:00:00:00:01:01", "02:00:00:00:01:02"] as const;
const id = "spiffe://test/node/b/forwarder";
const node = { segment: "floor", id, node: "b", site: "test", publicKey: `${"b".repeat(42)}A=`, vni: 9_000_001, at: "192.0.2.9:51820" };
const led = `bridge fdb replace ${host} dev isthmus-trunk master dynamic extern_learn`;

/** A node with a member that bridges for others, and what somebody behind it does on the pretended machine. */
async function bridging(world: World<Pretended>) {
  world.segments.tell(floor);
  await hears(world, "floor.b", nodeLabels({ ...node, abroad: undefined, blocks: ["10.60.9.0/24"], mtu: 1366 }));
  const { machine } = world.node(1);
  const conn = asked(machine.pods.add("gate"), { id: "client-gate", service: "floor" });
  const joined = await world.request(1, withContext(conn, { extraContext: { "isthmus.spoofing": "true" } }));
  const space = machine.spaces.machines.get("floor") ?? assert.fail("the segment is here");
  const port = space.objects().find((object) => object.kind === "port");
  assert.ok(port?.kind === "port");
  return { conn: joined, speak: (mac: string) => space.speak(port.name, mac), forget: (mac: string) => space.forget(mac) };
}

/** The other node says it. */
async function hears(world: World<Pretended>, name: string, labels: Record<string, string>): Promise<void> {
  const said = { name, url: "tcp://192.0.2.9:5001", networkServiceNames: ["floor"], networkServiceLabels: { floor: { labels } } };
  await world.register(1, NetworkServiceEndpoint.fromPartial(said));
}

function hearsBehind(world: World<Pretended>, ...behind: readonly BehindHost[]): Promise<void> {
  const gate = { name: "far", mac: "02:00:00:00:00:09", addresses: ["10.60.9.2"], announces: [], services: [], sequence: 1, behind };
  return hears(world, "floor.b.0", memberLabels(id, [gate]));
}

/** What the node says of who is behind its member: `MAC/NUMBER`. */
function said(world: World<Pretended>): string[] {
  const endpoint = world.registered(1, "floor.forwarder-1.0");
  const membership = endpoint && membershipOf(endpoint, "floor");
  return membership?.kind === "members"
    ? membership.members.flatMap(({ behind = [] }) => behind.map((one) => Object.values(one).join("/")))
    : [];
}

describe("forwarder: hosts behind a member that bridges", () => {
  it("are told of as long as they are there, also when the forwarder starts again", async () => {
    await using world = await World.pretend();
    const gate = await bridging(world);
    gate.speak(host);
    await until("it is told of", 2_000, async () => String(said(world)) === `${host}/1`);
    await world.node(1).stop();
    const before = world.registered(1, "floor.forwarder-1.0");
    await world.node(1).start();
    await until("it is said anew", 2_000, async () => world.registered(1, "floor.forwarder-1.0") !== before);
    assert.deepEqual(said(world), [`${host}/1`]);
    gate.forget(host);
    await until("it is told of no more", 2_000, async () => said(world).length === 0);
  });

  it("are led to at another node, and are where they spoke last", async () => {
    await using world = await World.pretend();
    const text = () => world.node(1).machine.spaces.text("floor");
    const gate = await bridging(world);
    await hearsBehind(world, { mac: host, sequence: 4 });
    await until("this node leads there", 2_000, async () => text().includes(led));
    gate.speak(host);
    await until("it is told of as here since", 2_000, async () => String(said(world)) === `${host}/5`);
    assert.ok(!text().includes(led));
    await hearsBehind(world, { mac: host, sequence: 4 }, { mac: other, sequence: 1 });
    await until("the other node was heard", 2_000, async () => text().includes(other));
    assert.ok(!text().includes(led), "what it said of the first is late");
    await hearsBehind(world, { mac: host, sequence: 6 });
    await until("this node leads there again", 2_000, async () => text().includes(led) && !text().includes(other));
    await until("it is told of as here no more", 2_000, async () => said(world).length === 0);
    await hearsBehind(world);
    await until("nobody has it", 2_000, async () => !text().includes(host));
  });

  it("are not led to any more where a member comes with their MAC address", async () => {
    await using world = await World.pretend();
    const text = () => world.node(1).machine.spaces.text("floor");
    await bridging(world);
    await hearsBehind(world, { mac: host, sequence: 4 });
    await until("this node leads there", 2_000, async () => text().includes(led));
    const conn = asked(world.node(1).machine.pods.add("camera"), { id: "client-camera", service: "floor" });
    const joined = await world.request(1, withContext(conn, { ethernetContext: EthernetContext.fromPartial({ srcMac: host }) }));
    await until("it is led to here alone", 2_000, async () => !text().includes(led));
    assert.match(text(), new RegExp(`bridge fdb replace ${host} dev ism-\\S+ master static sticky`));
    await world.close(1, joined);
  });

  it("are nobody's where the segment lets nobody bridge", async () => {
    await using world = await World.pretend();
    const text = () => world.node(1).machine.spaces.text("floor");
    world.segments.tell({ ...floor, allowSpoofing: false });
    await hears(world, "floor.b", nodeLabels({ ...node, abroad: undefined, blocks: ["10.60.9.0/24"], mtu: 1366 }));
    await hearsBehind(world, { mac: host, sequence: 4 });
    await world.request(1, asked(world.node(1).machine.pods.add("camera"), { id: "client-camera", service: "floor" }));
    await until("the other node's member is known", 2_000, async () => text().includes("02:00:00:00:00:09"));
    assert.ok(!text().includes(host));
  });
});
