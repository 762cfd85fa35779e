import assert from "node:assert/strict";
import type { Connection } from "../../../../api/gen/connection/connection.js";
import { withContext } from "../../../../core/context.js";
import { asked, type Pretended, World } from "../world.js";

const plant = { name: "plant", layer: "l3", prefixes: ["10.60.0.0/16", "fd60::/48"] };

/** A pod on a node, as a member. */
async function join(world: World<Pretended>, on: number, name: string): Promise<Connection> {
  const pod = world.node(on).machine.pods.add(name);
  return await world.request(on, asked(pod, { id: `client-${name}`, service: "plant" }));
}

function addressesOf(conn: Connection): string[] {
  return conn.context?.ipContext?.srcIpAddrs ?? [];
}

describe("forwarder: joining a segment", () => {
  it("gives a pod an address of each prefix and a route to all, and ends at this hop", async () => {
    await using world = await World.pretend();
    world.segments.tell(plant);
    const conn = await join(world, 1, "camera");
    assert.deepEqual(addressesOf(conn), ["10.60.1.2/32", "fd60:0:0:2::2/128"]);
    assert.equal(conn.path?.pathSegments.length, 2);
    assert.equal(conn.payload, "IP");
    assert.equal(conn.context?.MTU, world.node(1).machine.tunnel("x").mtu - 70);
    const text = world.node(1).machine.spaces.text("plant");
    for (const line of [
      /ip address add 10\.60\.1\.1\/32 dev lo/,
      /10\.60\.1\.2\/32 dev nsm0/,
      /ip -n camera route add 10\.60\.0\.0\/16 via 169\.254\.1\.1 dev nsm0 proto 105 onlink/,
      /ip -n camera neighbour replace 169\.254\.1\.1 lladdr 02:69:73:00:00:01 dev nsm0 nud permanent/,
    ])
      assert.match(text, line);
  });

  it("leaves nothing when the last member goes, and gives the blocks back", async () => {
    await using world = await World.pretend();
    world.segments.tell(plant);
    const conns = [await join(world, 1, "a"), await join(world, 1, "b")];
    const { spaces, pods } = world.node(1).machine;
    for (const conn of conns) {
      assert.deepEqual(spaces.list(), ["plant"]);
      await world.close(1, conn);
    }
    assert.deepEqual(spaces.list(), []);
    assert.deepEqual(world.blocks.back.sort(), world.blocks.given.sort());
    assert.deepEqual(world.node(1).disk.keys("member/"), []);
    assert.deepEqual(world.node(1).disk.keys("segment"), ["segments"]);
    assert.equal(pods.hasInterface(pods.resolve("file:///run/netns/a"), "nsm0"), false);
  });

  it("adopts members without a step after a restart, with the same addresses", async () => {
    await using world = await World.pretend();
    world.segments.tell(plant);
    const conn = await join(world, 1, "camera");
    const before = world.node(1).machine.spaces.text("plant");
    await world.node(1).stop();
    await world.node(1).start();
    assert.equal(world.node(1).machine.spaces.text("plant"), before);
    assert.deepEqual(
      (await world.watched(1)).map(({ networkService, context }) => [networkService, context?.ipContext?.srcIpAddrs]),
      [["plant", addressesOf(conn)]],
    );
    assert.deepEqual(addressesOf(await world.request(1, conn)), addressesOf(conn));
    assert.deepEqual(addressesOf(await join(world, 1, "other")), ["10.60.1.3/32", "fd60:0:0:2::3/128"]);
  });

  it("refuses a client without the labels that the segment asks for, and leaves nothing", async () => {
    await using world = await World.pretend();
    world.segments.tell({ ...plant, allowLabels: { role: "plc" } });
    await assert.rejects(join(world, 1, "camera"), { code: "denied", message: /takes only clients with role=plc/ });
    assert.deepEqual(world.node(1).machine.spaces.list(), []);
  });

  it("lets a member ask to spoof only where the segment allows it", async () => {
    await using world = await World.pretend();
    const ask = async (service: string) => {
      const pod = world.node(1).machine.pods.add(`pod-of-${service}`);
      const conn = asked(pod, { id: `client-${service}`, service });
      return await world.request(1, withContext(conn, { extraContext: { "isthmus.spoofing": "true" } }));
    };
    const floor = { ...plant, name: "floor", layer: "l2" };
    world.segments.tell(floor, { ...floor, name: "bridged", allowSpoofing: true });
    await assert.rejects(ask("floor"), { code: "denied", message: /lets nobody send from addresses that are not his own/ });
    assert.deepEqual(world.node(1).machine.spaces.list(), []);
    assert.equal((await ask("bridged")).payload, "ETHERNET");
  });

  it("gives a pod that is in two segments with the same addresses none that anybody has in the other one", async () => {
    await using world = await World.pretend();
    const four = { ...plant, prefixes: ["10.60.0.0/16"] };
    world.segments.tell(four, { ...four, name: "twin" });
    const pod = world.node(1).machine.pods.add("both");
    const ask = (service: string) => world.request(1, asked(pod, { id: `client-${service}`, service, name: service }));
    const taken = [
      ...addressesOf(await join(world, 1, "a")),
      ...addressesOf(await join(world, 1, "b")),
      ...addressesOf(await ask("plant")),
    ];
    // The fake registry gives the second segment another block; the same one is asked for by name.
    world.blocks.next = "10.60.1.0/24";
    const [address = ""] = addressesOf(await ask("twin"));
    assert.match(address, /^10\.60\.1\./);
    assert.ok(!taken.includes(address), `${address} of ${taken.join(" ")}`);
  });

  it("leaves nothing of a join that fails in the kernel", async () => {
    await using world = await World.pretend();
    world.segments.tell(plant);
    const pod = world.node(1).machine.pods.add("camera");
    const conn = asked(pod, { service: "plant", name: "eth0" });
    await assert.rejects(world.request(1, conn), { code: "exists" });
    assert.deepEqual(world.node(1).machine.spaces.list(), []);
    assert.deepEqual(world.node(1).disk.keys("member/"), []);
    assert.deepEqual(world.blocks.back.sort(), world.blocks.given.sort());
  });
});
