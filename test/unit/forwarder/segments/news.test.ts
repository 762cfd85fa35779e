import assert from "node:assert/strict";
import { NetworkServiceEndpoint } from "../../../../api/gen/registry/registry.js";
import { withContext } from "../../../../core/context.js";
import { memberLabels, nodeLabels } from "../../../../core/segment/membership.js";
import { until } from "../../../lib/until.js";
import { asked, World } from "../world.js";

const plant = { name: "plant", layer: "l3", prefixes: ["10.60.0.0/16"] };
const id = "spiffe://test/node/b/forwarder";
const node = { segment: "plant", id, node: "b", site: "test", publicKey: `${"b".repeat(42)}A=`, vni: 9_000_001, at: "192.0.2.9:51820" };

function member(name: string, address: string) {
  return { name, mac: "02:00:00:00:00:01", addresses: [address], announces: [], services: [], sequence: 1 };
}

function said(name: string, labels: Record<string, string>): NetworkServiceEndpoint {
  const url = "tcp://192.0.2.9:5001";
  return NetworkServiceEndpoint.fromPartial({
    ...{ name, url, networkServiceNames: ["plant"] },
    networkServiceLabels: { plant: { labels } },
  });
}

describe("forwarder: news of a segment's other nodes", () => {
  it("that are only of members in known blocks are no work for the kernel", async () => {
    await using world = await World.pretend();
    world.segments.tell(plant);
    const { machine, disk } = world.node(1);
    const text = () => machine.spaces.text("plant");
    await world.register(1, said("plant.b", nodeLabels({ ...node, abroad: undefined, blocks: ["10.60.9.0/24"], mtu: 1366 })));
    await world.request(1, asked(machine.pods.add("camera"), { id: "client-camera", service: "plant" }));
    await until("the node is known", 2_000, () => text().includes("10.60.9.0/24"));
    const kernel = machine.spaces.kernels.get("plant") ?? assert.fail("there is a kernel");
    const looked: string[] = [];
    const find = kernel.find.bind(kernel);
    kernel.find = async (devices, wanted) => {
      looked.push(...devices);
      return await find(devices, wanted);
    };
    const tell = async (...members: ReturnType<typeof member>[]) => {
      const before = JSON.stringify([...disk.entries("segment-nodes/")]);
      await world.register(1, said("plant.b.0", memberLabels(id, members)));
      // Before it is in the kernel it is on disk.
      await until("it was heard", 2_000, () => JSON.stringify([...disk.entries("segment-nodes/")]) !== before);
    };
    const sensor = member("sensor", "10.60.9.2");
    await tell(sensor);
    await tell(sensor, member("motor", "10.60.9.3"));
    await tell(sensor, member("moved", "10.60.3.9"));
    await until("the one that is elsewhere has a route", 2_000, () => text().includes("10.60.3.9/32"));
    assert.deepEqual(looked, ["isthmus-trunk", "lo"], "each once, for the last of three");
  });

  it("that lead to what a member here announces are behind it, and one node has one such member", async () => {
    await using world = await World.pretend();
    world.segments.tell(plant);
    const lan = "192.168.20.0/24";
    const { machine } = world.node(1);
    const text = () => machine.spaces.text("plant");
    const gate = (name: string) => {
      const conn = asked(machine.pods.add(name), { id: `client-${name}`, service: "plant", name });
      return world.request(1, withContext(conn, { extraContext: { "isthmus.announce": lan } }));
    };
    await world.register(1, said("plant.b", nodeLabels({ ...node, abroad: undefined, blocks: ["10.60.9.0/24"], mtu: 1366 })));
    await world.register(1, said("plant.b.0", memberLabels(id, [{ ...member("east", "10.60.9.2"), announces: [lan] }])));
    await gate("west");
    await until("there are two ways", 2_000, () =>
      /route add 192\.168\.20\.0\/24 via inet6 \S+ dev isthmus-trunk .*metric 2048/.test(text()),
    );
    assert.match(text(), /route add 192\.168\.20\.0\/24 via 10\.60\.1\.2 dev ism-\S+ proto 105 onlink$/m);
    const message =
      "client announces 192.168.20.0/24 on this node already, in the segment plant; announce it on another node, or let that one leave";
    await assert.rejects(gate("again"), { code: "exists", message });
  });
});
