import assert from "node:assert/strict";
import { counterMetrics } from "../../../forwarder/metrics.js";
import { devicesOf } from "../../../forwarder/names.js";
import { asked, World } from "./world.js";

const none = { rxBytes: 0, txBytes: 0, rxPackets: 0, txPackets: 0, drops: 0 };

describe("forwarder: metrics", () => {
  it("counts what a pod was sent by what came in on the other side, as redirects go round transmit counters", () => {
    const client = { ...none, rxBytes: 100, rxPackets: 10, drops: 1 };
    const endpoint = { ...none, rxBytes: 7, rxPackets: 2 };
    assert.deepEqual(counterMetrics(client, endpoint), {
      ...{ server_rx_bytes: "100", server_rx_packets: "10", server_tx_bytes: "7", server_tx_packets: "2", server_drops: "1" },
      ...{ client_rx_bytes: "7", client_rx_packets: "2", client_tx_bytes: "100", client_tx_packets: "10", client_drops: "0" },
    });
    assert.deepEqual(counterMetrics(undefined, undefined), {});
  });

  it("come with a refresh, in the forwarder's own segment", async () => {
    await using world = await World.pretend();
    const { machine, forwarder } = world.node(1);
    await world.serve(1, machine.pods.add("server"));
    const conn = await world.request(1, asked(machine.pods.add("client")));
    assert.equal(conn.path?.pathSegments[1]?.metrics.server_rx_bytes, undefined);
    const [kept] = forwarder.wanted.list();
    assert.ok(kept);
    machine.kernel.count(devicesOf(kept.connect).client, { rxBytes: 42 });
    const again = await world.request(1, conn);
    assert.equal(again.path?.pathSegments[1]?.metrics.server_rx_bytes, "42");
    assert.equal(again.path?.pathSegments[1]?.metrics.client_tx_bytes, "42");
  });
});
