import assert from "node:assert/strict";
import { Connection } from "../../../../api/gen/connection/connection.js";
import { MeshError } from "../../../../core/error.js";
import { membershipOf } from "../../../../core/segment/membership.js";
import type { Part } from "../../../../forwarder/segments/part.js";
import { until } from "../../../lib/until.js";
import { asked, type Pretended, World } from "../world.js";

const plant = { name: "plant", layer: "l3", prefixes: ["10.60.0.0/16"] };

async function join(world: World<Pretended>, name: string): Promise<Connection> {
  return await world.request(1, asked(world.node(1).machine.pods.add(name), { id: `client-${name}`, service: "plant" }));
}

/** By the address 10.60.9.9. */
async function joinFixed(world: World<Pretended>): Promise<Connection> {
  const conn = asked(world.node(1).machine.pods.add("fixed"), { id: "client-fixed", service: "plant" });
  return await world.request(1, Connection.fromPartial({ ...conn, context: { ipContext: { srcIpAddrs: ["10.60.9.9/32"] } } }));
}

const addressOf = (conn: Connection) => conn.context?.ipContext?.srcIpAddrs[0];
const blocksOf = (world: World<Pretended>) => world.node(1).disk.get<Part>("segment/plant")?.blocks;
const clients = async (world: World<Pretended>) => (await world.watched(1)).map(({ path }) => path?.pathSegments[0]?.id ?? "").sort();
const saidBlocks = (world: World<Pretended>) => {
  const said = world.registered(1, "plant.forwarder-1");
  const membership = said && membershipOf(said, "plant");
  return membership?.kind === "node" ? membership.node.blocks : undefined;
};

/** From now on the registry takes no blocks but these, and those that it gave since. */
function knowOnly(world: World<Pretended>, ...blocks: readonly string[]): void {
  const before = world.blocks.given.length;
  world.checks(1, (endpoint) => {
    const membership = membershipOf(endpoint, "plant");
    const known = [...blocks, ...world.blocks.given.slice(before)];
    const strange = membership?.kind === "node" ? membership.node.blocks.find((block) => !known.includes(block)) : undefined;
    if (strange !== undefined) throw new MeshError("moved", `${strange} was not given to it`);
  });
}

async function restart(world: World<Pretended>): Promise<void> {
  await world.node(1).stop();
  await world.node(1).start();
}

describe("a node whose registry does not know its blocks", () => {
  it("asks for them again, and keeps its members where they are nobody else's", async () => {
    await using world = await World.pretend();
    world.segments.tell(plant);
    const conn = await join(world, "camera");
    await join(world, "door");
    knowOnly(world);
    await restart(world);
    await until("it is said again", 2_000, async () => world.blocks.given.length === 2 && saidBlocks(world)?.join() === "10.60.1.0/24");
    assert.deepEqual(world.blocks.given, ["10.60.1.0/24", "10.60.1.0/24"]);
    assert.deepEqual(await clients(world), ["client-camera", "client-door"]);
    assert.equal(addressOf(await world.request(1, conn)), "10.60.1.2/32");
  });

  it("gives its members other addresses where their block is another node's by now", async () => {
    await using world = await World.pretend();
    world.segments.tell(plant);
    const conn = await join(world, "camera");
    world.blocks.others.push("10.60.1.0/24");
    knowOnly(world);
    await restart(world);
    await until("the member has ended", 2_000, async () => (await clients(world)).length === 0);
    // As its nsmgr does, with the addresses that it had.
    const again = await world.request(1, conn);
    assert.deepEqual([addressOf(again), blocksOf(world), saidBlocks(world)], ["10.60.2.2/32", ["10.60.2.0/24"], ["10.60.2.0/24"]]);
    assert.doesNotMatch(world.node(1).machine.spaces.text("plant"), /10\.60\.1\./);
  });

  it("keeps the members of the blocks that are still its own, and has an address of its own in one of those", async () => {
    await using world = await World.pretend();
    world.segments.tell(plant);
    await join(world, "camera");
    await joinFixed(world);
    world.blocks.others.push("10.60.1.0/24");
    knowOnly(world, "10.60.9.9/32");
    await restart(world);
    await until("one has ended", 2_000, async () => (await clients(world)).join() === "client-fixed");
    await until("it has another block", 2_000, async () => saidBlocks(world)?.length === 2);
    assert.deepEqual(saidBlocks(world), ["10.60.4.0/24", "10.60.9.9/32"]);
    const text = world.node(1).machine.spaces.text("plant");
    assert.match(text, /ip address add 10\.60\.4\.1\/32 dev lo/);
    assert.doesNotMatch(text, /10\.60\.1\./);
  });

  it("waits where nobody can say whose they are", async () => {
    await using world = await World.pretend();
    world.segments.tell(plant);
    await join(world, "camera");
    knowOnly(world);
    const asked: string[] = [];
    const { allocate } = world.blocks;
    world.blocks.allocate = async ({ prefix }) => {
      asked.push(prefix);
      throw new MeshError("unreachable", "the registry is away");
    };
    await restart(world);
    await until("it has asked", 2_000, async () => asked.length > 0);
    assert.deepEqual([await clients(world), blocksOf(world)], [["client-camera"], ["10.60.1.0/24"]]);
    world.blocks.allocate = allocate.bind(world.blocks);
    await until("it is said", 5_000, async () => saidBlocks(world)?.join() === "10.60.1.0/24");
  });
});

describe("a pod that wants a fixed address", () => {
  it("gets no other where that is another node's", async () => {
    await using world = await World.pretend();
    world.segments.tell(plant);
    world.blocks.others.push("10.60.9.0/24");
    await assert.rejects(joinFixed(world), { code: "exists", message: /10\.60\.9\.0\/24 is another node's/ });
  });
});
