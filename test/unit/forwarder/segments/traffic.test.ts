import assert from "node:assert/strict";
import { portName, trunkDevice } from "../../../../forwarder/segments/devices.js";
import { segmentCounters } from "../../../../forwarder/segments/traffic.js";
import { asked, World } from "../world.js";

const { signal } = new AbortController();

describe("what passes in a segment", () => {
  it("is told by member, as each of them sees it, and of all other nodes together", async () => {
    await using world = await World.pretend();
    world.segments.tell({ name: "floor", layer: "l2", prefixes: ["10.60.0.0/16"] });
    const { pods, spaces } = world.node(1).machine;
    const [camera, loop] = await Promise.all(
      ["camera", "loop"].map((name) => world.request(1, asked(pods.add(name), { id: `client-${name}`, service: "floor", name }))),
    );
    const port = (conn: typeof camera) => portName(conn?.path?.pathSegments[1]?.id ?? "");
    const kernel = spaces.kernels.get("floor") ?? assert.fail();
    kernel.count(port(camera), { rxPackets: 1, rxBytes: 2, txPackets: 3, txBytes: 4, spoofed: 5 });
    kernel.count(port(loop), { flooded: 6 });
    kernel.count(trunkDevice, { rxPackets: 7, rxBytes: 8, txPackets: 9, txBytes: 10 });
    const { node, others, members } = await world.counted(1, "floor");
    const shown = members.map(({ traffic: t, spoofed, flooded }) => [
      t?.receivedPackets,
      t?.receivedBytes,
      t?.sentPackets,
      t?.sentBytes,
      spoofed,
      flooded,
    ]);
    assert.deepEqual(shown, [
      [3, 4, 1, 2, 5, 0],
      [0, 0, 0, 0, 0, 6],
    ]);
    assert.equal(node, "node-1");
    assert.deepEqual([others?.receivedPackets, others?.receivedBytes, others?.sentPackets, others?.sentBytes], [7, 8, 9, 10]);
    assert.deepEqual((await world.counted(1, "other")).members, []);
  });

  it("is not told to another site", async () => {
    const api = segmentCounters({ present: [] }, "node-1");
    const from = (id: string) =>
      api.read("floor", signal, { self: "spiffe://test/forwarder", peer: { id } } as Parameters<typeof api.read>[2]);
    assert.equal((await from("spiffe://test/nsmgr")).node, "node-1");
    await assert.rejects(from("spiffe://elsewhere/nsmgr"), { code: "denied", message: /is of another site; what passes on this node/ });
  });
});
