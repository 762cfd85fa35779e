import assert from "node:assert/strict";
import { Connection } from "../../../../api/gen/connection/connection.js";
import { Segment } from "../../../../api/gen/isthmus/v1/segment.js";
import { MeshError } from "../../../../core/error.js";
import { noWishes, wishContext } from "../../../../core/segment/wishes.js";
import { gatewayMac, memberMac } from "../../../../forwarder/segments/addressing.js";
import type { Member, Part } from "../../../../forwarder/segments/part.js";
import { Remembered } from "../../../../forwarder/segments/remembered.js";
import { until } from "../../../lib/until.js";
import { asked, type Pretended, World } from "../world.js";

const plant = { name: "plant", layer: "l3", prefixes: ["10.60.0.0/16"], home: "test" };
const floor = { ...plant, name: "floor" };

const plantMembers = (world: World<Pretended>) =>
  [...world.node(1).disk.entries<{ readonly member: Member }>("member/")].map(([, { member }]) => member.name).sort();

interface Wanted {
  readonly service?: string;
  readonly mac?: string;
  readonly announces?: readonly string[];
  readonly excludes?: readonly string[];
  /** Of the client; that of the pod unless given. */
  readonly client?: string;
}

async function join(
  world: World<Pretended>,
  name: string,
  { service = "plant", mac = "", announces = [], excludes = [], client = name }: Wanted = {},
): Promise<Connection> {
  const { extraContext } = wishContext({ ...noWishes, announces });
  const conn = asked(world.node(1).machine.pods.add(name), { id: `client-${name}`, service });
  const context = { extraContext, ethernetContext: { srcMac: mac }, ipContext: { excludedPrefixes: [...excludes] } };
  const path = { index: 0, pathSegments: [{ name: client, id: `client-${name}`, metrics: {} }] };
  return await world.request(1, Connection.fromPartial({ ...conn, context, path }));
}

/** Something happens while the first member waits for its address block. */
function meanwhile(world: World<Pretended>, happens: () => void): void {
  const { blocks } = world;
  const allocate = blocks.allocate.bind(blocks);
  blocks.allocate = async (ask) => {
    blocks.allocate = allocate;
    const block = await allocate(ask);
    happens();
    await heard();
    return block;
  };
}

/** The forwarder hears of it by its watch. */
async function heard(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}

function leavesNothing(world: World<Pretended>): void {
  const { machine, disk } = world.node(1);
  assert.deepEqual(machine.spaces.list(), []);
  assert.deepEqual([...disk.keys("member/"), ...disk.keys("segment/"), ...disk.keys("segment-nodes/")], []);
  assert.deepEqual(world.blocks.back.sort(), world.blocks.given.sort());
}

describe("forwarder: a segment while things happen", () => {
  it("is not joined when it is deleted meanwhile, and leaves nothing", async () => {
    await using world = await World.pretend();
    world.segments.tell(plant);
    meanwhile(world, () => world.segments.tell());
    await assert.rejects(join(world, "camera"), { code: "not-found", message: /plant was deleted while a pod joined it/ });
    leavesNothing(world);
  });

  it("is not joined as what it was when it is made anew meanwhile, but then as what it is", async () => {
    await using world = await World.pretend();
    world.segments.tell(plant);
    meanwhile(world, () => world.segments.tell({ ...plant, createdMs: 2, dnsDomain: "new" }));
    await assert.rejects(join(world, "camera"), { code: "not-found", message: /deleted and made anew/ });
    leavesNothing(world);
    assert.deepEqual((await join(world, "other")).context?.dnsContext?.configs[0]?.searchDomains, ["plant.new"]);
  });

  it("loses its members when it was deleted while the forwarder was away", async () => {
    await using world = await World.pretend();
    world.segments.tell(plant);
    await join(world, "camera");
    await world.node(1).stop();
    world.segments.tell();
    await world.node(1).start();
    await until("its namespace is gone", 2_000, async () => world.node(1).machine.spaces.list().length === 0);
    await until("its connection is closed", 2_000, async () => (await world.watched(1)).length === 0);
    leavesNothing(world);
  });

  it("keeps its members where its registry has forgotten it, also after a restart, until it is told and deleted", async () => {
    await using world = await World.pretend();
    world.segments.tell(plant, floor);
    await join(world, "camera");
    for (const moment of [
      { history: "another", revision: 0 },
      { history: "another", revision: -1 },
    ]) {
      world.segments.moment = moment;
      world.segments.tell();
      await heard();
      world.segments.tell(floor);
      await heard();
      assert.ok(plantMembers(world).includes("camera"));
      await world.node(1).stop();
      await world.node(1).start();
      await heard();
      await join(world, `door-${moment.revision}`);
    }
    assert.equal(plantMembers(world).length, 3);
    world.segments.tell(plant);
    await heard();
    world.segments.tell();
    await until("the members are gone", 2_000, () => plantMembers(world).length === 0);
  });

  it("that was begun and never joined is taken back after a restart", async () => {
    await using world = await World.pretend();
    world.segments.tell(plant);
    await world.node(1).stop();
    const part: Part = { segment: Segment.fromPartial(plant), vni: 9_000_000, blocks: ["10.60.7.0/24"] };
    await world.node(1).disk.put("segment/plant", part);
    const farewell = { kind: "farewell", segment: "plant", id: "b" } as const;
    await new Remembered(world.node(1).disk, "plant").keep(new Map([["plant.b", farewell]]));
    await world.node(1).machine.spaces.open({ name: "plant" });
    await world.node(1).start();
    world.blocks.given.push("10.60.7.0/24");
    await until("its block is given back", 1_000, async () => world.blocks.back.length === 1);
    leavesNothing(world);
  });

  it("leaves nothing where its namespace cannot be made, as often as it is tried", async () => {
    await using world = await World.pretend();
    world.segments.tell(plant);
    const { spaces } = world.node(1).machine;
    const open = spaces.open.bind(spaces);
    spaces.open = async (segment) => {
      await open(segment);
      throw new MeshError("kernel", "no room");
    };
    for (const name of ["a", "b"]) await assert.rejects(join(world, name), { code: "kernel" });
    leavesNothing(world);
    spaces.open = open;
    await join(world, "c");
  });

  it("keeps neither the forwarder nor other segments from starting where it cannot be taken over", async () => {
    await using world = await World.pretend();
    world.segments.tell(plant, floor);
    await join(world, "camera");
    const other = await join(world, "lamp", { service: "floor" });
    await world.node(1).stop();
    const { spaces } = world.node(1).machine;
    const open = spaces.open.bind(spaces);
    spaces.open = async (segment) => {
      if (segment.name === "plant") throw new MeshError("kernel", "no room");
      return await open(segment);
    };
    await world.node(1).start();
    assert.deepEqual(
      (await world.watched(1)).map(({ networkService }) => networkService),
      ["floor"],
    );
    assert.deepEqual((await world.request(1, other)).context?.ipContext?.srcIpAddrs, other.context?.ipContext?.srcIpAddrs);
  });
});

describe("forwarder: what a member of a segment may ask for", () => {
  it("is not a prefix of the segment itself, nor one around it", async () => {
    await using world = await World.pretend();
    world.segments.tell(plant);
    for (const prefix of ["10.60.1.9/32", "10.60.0.0/16", "10.0.0.0/8"])
      await assert.rejects(join(world, "gate", { announces: [prefix] }), {
        code: "invalid",
        message: /has addresses of the segment plant itself/,
      });
    await join(world, "gate", { announces: ["10.61.0.0/16"] });
  });

  it("is not what means something else to another member's pod", async () => {
    await using world = await World.pretend();
    world.segments.tell(plant);
    await join(world, "lamp", { excludes: ["10.96.0.0/12"] });
    await join(world, "gate", { announces: ["10.96.7.0/24", "192.168.10.0/24"] });
    const routes = () =>
      world
        .node(1)
        .machine.spaces.text("plant")
        .split("\n")
        .filter((line) => line.startsWith("ip -n lamp route"));
    await until("it has heard", 1_000, async () => routes().some((line) => line.includes("192.168.10.0/24")));
    assert.ok(!routes().some((line) => line.includes("10.96.7.0/24")), routes().join("\n"));
  });

  it("is a name that is a DNS label, and no other member's on the node", async () => {
    await using world = await World.pretend();
    world.segments.tell(plant);
    const long = `${"a".repeat(62)}-b`;
    for (const pod of ["a", "b", "c", "d"]) await join(world, pod, { client: "web" });
    for (const pod of ["e", "f", "g"]) await join(world, pod, { client: long });
    await join(world, "h", { client: "_/_" });
    const names = plantMembers(world);
    assert.equal(new Set(names).size, 8, names.join());
    for (const name of names) assert.match(name, /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/);
    assert.ok(
      ["web", "web-nsm0", "a".repeat(62), "member"].every((name) => names.includes(name)),
      names.join(),
    );
  });

  it("is its own MAC address and nobody else's", async () => {
    await using world = await World.pretend();
    world.segments.tell({ ...plant, layer: "l2" });
    const mac = "02:00:00:00:00:0A";
    for (const wrong of ["nonsense", "01:00:5e:00:00:01", "00:00:00:00:00:00"])
      await assert.rejects(join(world, "camera", { mac: wrong }), { code: "invalid" });
    await join(world, "camera", { mac });
    assert.match(world.node(1).machine.spaces.text("plant"), /02:00:00:00:00:0a/);
    for (const taken of [mac, gatewayMac]) await assert.rejects(join(world, "thief", { mac: taken }), { code: "exists" });
  });

  it("is another MAC address where somebody has asked for the one that follows from its address", async () => {
    await using world = await World.pretend();
    world.segments.tell({ ...plant, layer: "l2" });
    const usual = memberMac("plant", "10.60.1.3");
    await join(world, "thief", { mac: usual });
    await join(world, "camera");
    const fdb =
      world
        .node(1)
        .machine.spaces.text("plant")
        .match(/bridge fdb .*/g)
        ?.filter((line) => line.includes(usual)) ?? [];
    assert.equal(fdb.length, 1);
  });

  it("is no segment of another site that only has the name of one that is known here", async () => {
    await using world = await World.pretend();
    world.segments.tell(plant);
    await assert.rejects(join(world, "a", { service: "plant@tokyo" }), (error: MeshError) => error.code !== "internal");
    assert.deepEqual(world.node(1).machine.spaces.list(), []);
    await join(world, "b", { service: "plant@test" });
    world.segments.tell({ ...plant, home: "tokyo", sites: ["tokyo", "test"] });
    await heard();
    await join(world, "c", { service: "plant@tokyo" });
  });
});
