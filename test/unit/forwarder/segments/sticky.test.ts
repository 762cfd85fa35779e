import assert from "node:assert/strict";
import { Connection } from "../../../../api/gen/connection/connection.js";
import { NetworkServiceEndpoint } from "../../../../api/gen/registry/registry.js";
import { memberLabels, membershipOf, nodeLabels, type SegmentMember } from "../../../../core/segment/membership.js";
import { stickyLabels } from "../../../../core/segment/stickyWord.js";
import { noWishes, wishContext } from "../../../../core/segment/wishes.js";
import { memberMac } from "../../../../forwarder/segments/addressing.js";
import { until } from "../../../lib/until.js";
import { asked, type Pretended, World } from "../world.js";

const plant = { name: "plant", layer: "l3", prefixes: ["10.60.0.0/16", "fd60::/48"] };
const addresses = ["10.60.200.1", "fd60:0:0:200::1"];
const elsewhere = "spiffe://tokyo/node/tokyo-1/forwarder";

/** A pod on a node, joined by the sticky name `cam`. */
async function join(world: World<Pretended>, on: number, name: string, pod = world.node(on).machine.pods.add(name)): Promise<Connection> {
  const first = asked(pod, { id: `client-${name}`, service: "plant" });
  const { extraContext } = wishContext({ ...noWishes, sticky: "cam" });
  return await world.request(on, Connection.fromPartial({ ...first, context: { ...first.context, extraContext } }));
}

/** Another node says that it has cam, as the segment's home does. */
async function tellOf(world: World<Pretended>, on: number, sequence: number, claimed = sequence): Promise<void> {
  const node = { segment: "plant", id: elsewhere, node: "tokyo-1", site: "tokyo", publicKey: `${"T".repeat(42)}A=`, vni: 9_000_001 };
  const ends = { at: "192.0.2.99:51820", abroad: "192.0.2.99:51820", blocks: ["10.60.99.0/24"], mtu: 0 };
  const member: SegmentMember = {
    name: "cam",
    mac: memberMac("plant", addresses[0] ?? ""),
    addresses,
    announces: [],
    services: [],
    sequence,
  };
  for (const [name, labels] of [
    ["plant.tokyo", nodeLabels({ ...node, ...ends })],
    ["plant.tokyo.0", memberLabels(elsewhere, [member])],
    [
      "plant.cam.sticky",
      stickyLabels("spiffe://test/registry", { name: "cam", addresses, claims: [{ id: elsewhere, sequence: claimed }] }),
    ],
  ] as const)
    await world.register(
      on,
      NetworkServiceEndpoint.fromPartial({
        name,
        networkServiceNames: ["plant"],
        networkServiceLabels: { plant: { labels } },
        url: "tcp://tokyo:5001",
      }),
    );
}

/** Which connections a node has, by their clients. */
const clients = async (world: World<Pretended>, on: number) =>
  (await world.watched(on)).map(({ path }) => path?.pathSegments[0]?.id ?? "").sort();

/** Another member, which keeps the segment on the node. */
async function stays(world: World<Pretended>, on: number): Promise<void> {
  await world.request(on, asked(world.node(on).machine.pods.add("stays"), { id: "client-stays", service: "plant" }));
}

/** Over which devices a node sends to cam. */
const ways = (world: World<Pretended>, on: number) => routes(world, on).map((line) => / dev (\S+)/.exec(line)?.[1] ?? "");

/** The routes to cam on a node. */
const routes = (world: World<Pretended>, on: number) =>
  world
    .node(on)
    .machine.spaces.text("plant")
    .split("\n")
    .filter((line) => /^ip route .*(10\.60\.200\.1\/32|200::1\/128)/.test(line));

describe("forwarder: a member with a sticky name", () => {
  it("has the addresses of its name, is called by it, and tells who had it before", async () => {
    await using world = await World.pretend();
    world.segments.tell(plant);
    world.sticky.names.set("cam", { number: 1, sequence: 6, holder: undefined });
    const conn = await join(world, 1, "camera");
    assert.deepEqual(conn.context?.ipContext?.srcIpAddrs, ["10.60.200.1/32", "fd60:0:0:200::1/128"]);
    const said = await until("the node says who is there", 2_000, async () => world.registered(1, "plant.forwarder-1.0"));
    const membership = membershipOf(said, "plant");
    const [member] = membership?.kind === "members" ? membership.members : [];
    assert.deepEqual([member?.name, member?.addresses, member?.sequence], ["cam", addresses, 7]);
    assert.equal(member?.mac, memberMac("plant", "10.60.200.1"));
    assert.deepEqual(world.blocks.back, []);
  });

  it("claims it once, for however long it stays, and lets go of it when it leaves", async () => {
    await using world = await World.pretend();
    world.segments.tell(plant);
    const conn = await join(world, 1, "camera");
    await world.node(1).stop();
    await world.node(1).start();
    const again = await world.request(1, conn);
    assert.equal(world.sticky.names.get("cam")?.sequence, 1);
    await world.close(1, again);
    await until("it is released", 2_000, async () => world.sticky.released.length > 0);
    assert.deepEqual(world.sticky.released, ["cam client-camera"]);
    assert.deepEqual(world.node(1).machine.spaces.list(), []);
  });

  it("is refused while nobody can say who has it, and leaves nothing", async () => {
    await using world = await World.pretend();
    world.segments.tell(plant);
    world.sticky.away = true;
    await assert.rejects(join(world, 1, "camera"), { code: "unreachable", message: /waits for paris/ });
    assert.deepEqual([world.node(1).machine.spaces.list(), world.node(1).disk.keys("member/")], [[], []]);
    // The answer may have been lost.
    assert.deepEqual(world.sticky.released, ["cam client-camera"]);
  });

  it("lets go of it where the kernel refuses the member", async () => {
    await using world = await World.pretend();
    world.segments.tell(plant);
    await stays(world, 1);
    const { pods, spaces } = world.node(1).machine;
    const pod = pods.add("camera");
    spaces.kernels.get("plant")?.refuse(`address netns:${pod.cookie} nsm0 10.60.200.1/32`, new Error("no address today"));
    await assert.rejects(join(world, 1, "camera", pod), { message: /no address today/ });
    await until("it is released", 2_000, async () => world.sticky.released.length > 0);
    assert.equal(world.sticky.names.get("cam")?.holder, undefined);
  });

  it("gives way to another pod of the same node", async () => {
    await using world = await World.pretend();
    world.segments.tell(plant);
    await join(world, 1, "old");
    const [before] = routes(world, 1);
    const conn = await join(world, 1, "new");
    assert.deepEqual(conn.context?.ipContext?.srcIpAddrs, ["10.60.200.1/32", "fd60:0:0:200::1/128"]);
    await until("the other's connection has ended", 2_000, async () => (await clients(world, 1)).join() === "client-new");
    assert.equal(routes(world, 1).length, 2);
    assert.notEqual(routes(world, 1)[0], before);
    const said = world.registered(1, "plant.forwarder-1.0");
    assert.deepEqual(Object.keys(said?.networkServiceLabels.plant?.labels ?? {}).sort(), ["id", "member.cam"]);
    // What it lets go of is not its any more.
    assert.equal(world.sticky.names.get("cam")?.holder, "client-new");
  });

  it("gives way to one of another node, to which packets go from then on, and is not asked for again without end", async () => {
    await using world = await World.pretend();
    world.segments.tell(plant);
    const conn = await join(world, 1, "camera");
    await stays(world, 1);
    await world.sticky.claim({ segment: "plant", name: "cam", connection: "client-there" });
    await tellOf(world, 1, 2);
    await until("its connection has ended", 2_000, async () => (await clients(world, 1)).join() === "client-stays");
    await until("the way leads there", 2_000, async () => ways(world, 1).join() === "isthmus-trunk,isthmus-trunk");
    assert.equal(world.node(1).disk.keys("member/").length, 1);
    await assert.rejects(world.request(1, conn), { code: "moved" });
    assert.equal(world.sticky.names.get("cam")?.holder, "client-there");
  });

  it("gives way to one of whom this node hears only when it starts again", async () => {
    await using world = await World.pretend();
    world.segments.tell(plant);
    await join(world, 1, "camera");
    await stays(world, 1);
    await world.node(1).stop();
    await tellOf(world, 1, 2);
    await world.node(1).start();
    await until("its connection has ended", 2_000, async () => (await clients(world, 1)).join() === "client-stays");
    await until("the way leads there", 2_000, async () => ways(world, 1).join() === "isthmus-trunk,isthmus-trunk");
  });

  it("takes the place of one of another node, whatever that goes on to say", async () => {
    await using world = await World.pretend();
    world.segments.tell(plant);
    world.sticky.names.set("cam", { number: 1, sequence: 4, holder: undefined });
    await stays(world, 1);
    await tellOf(world, 1, 4);
    await until("the way leads there", 2_000, async () => ways(world, 1).join() === "isthmus-trunk,isthmus-trunk");
    const conn = await join(world, 1, "camera");
    assert.equal(ways(world, 1).length, 2);
    assert.ok(ways(world, 1).every((device) => device.startsWith("ism-")));
    await tellOf(world, 1, 3);
    await tellOf(world, 1, 4);
    assert.deepEqual(await clients(world, 1), ["client-camera", "client-stays"]);
    await world.close(1, conn);
    await until("the way leads there again", 2_000, async () => ways(world, 1).join() === "isthmus-trunk,isthmus-trunk");
  });

  it("stays where another node says to have come later, and the segment's home does not", async () => {
    await using world = await World.pretend();
    world.segments.tell(plant);
    await join(world, 1, "camera");
    await tellOf(world, 1, 9, 0);
    await tellOf(world, 1, 9, 1);
    await world.known(1, "plant.tokyo.0");
    assert.deepEqual(await clients(world, 1), ["client-camera"]);
    assert.ok(ways(world, 1).every((device) => device.startsWith("ism-")));
  });

  it("has one MAC address on all nodes, also where it has no other address", async () => {
    await using world = await World.pretend(2);
    world.segments.tell({ ...plant, layer: "l2", prefixes: [] });
    world.sticky.hasAddresses = false;
    const macs: unknown[] = [];
    for (const on of [1, 2]) {
      await join(world, on, "camera");
      macs.push(/peer name nsm0 address (\S+)/.exec(world.node(on).machine.spaces.text("plant"))?.[1]);
    }
    assert.deepEqual(macs, Array(2).fill(memberMac("plant", "cam")));
  });
});
