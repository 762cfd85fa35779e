import assert from "node:assert/strict";
import { Traffic } from "../../../forwarder/tunnel/traffic.js";
import type { PeerStatus } from "../../../kernel/parts.js";
import { PrometheusMeter } from "../../../program/meter.js";
import { metricsIn } from "../../lib/metrics.js";

describe("forwarder: traffic of the node tunnel", () => {
  const peers = [
    { address: "fd00::1", publicKey: "A" },
    { address: "fd00::2", publicKey: "B" },
  ];
  const status = (publicKey: string, lastHandshake: number, bytes = 0): PeerStatus => ({
    publicKey,
    lastHandshake,
    rxBytes: bytes,
    txBytes: 2 * bytes,
  });

  async function shown(meter: PrometheusMeter): Promise<Record<string, string[]>> {
    const metrics = metricsIn(await meter.text());
    return Object.fromEntries([...metrics].map(([name, samples]) => [name, samples.map(({ labels, value }) => `${labels.peer} ${value}`)]));
  }

  it("shows bytes and handshakes by tunnel address, of peers that are known", async () => {
    const traffic = new Traffic();
    const meter = new PrometheusMeter();
    let now = [status("A", 1_000, 10), status("B", 0), status("STRANGER", 5_000, 99)];
    traffic.tell(
      meter,
      async () => now,
      () => peers,
    );
    const before = await shown(meter);
    assert.deepEqual(before.isthmus_tunnel_received_bytes_total, ["fd00::1 10", "fd00::2 0"]);
    assert.deepEqual(before.isthmus_tunnel_sent_bytes_total, ["fd00::1 20", "fd00::2 0"]);
    assert.deepEqual(before.isthmus_tunnel_last_handshake_seconds, ["fd00::1 1", "fd00::2 0"]);
    assert.deepEqual(before.isthmus_tunnel_handshakes_total, ["fd00::1 1", "fd00::2 0"]);
    // Between two that ask, the tunnel looks after itself.
    traffic.note([status("A", 121_000)]);
    now = [status("A", 241_000, 40)];
    const after = await shown(meter);
    assert.deepEqual(after.isthmus_tunnel_handshakes_total, ["fd00::1 3"]);
    assert.deepEqual(after.isthmus_tunnel_received_bytes_total, ["fd00::1 40"]);
  });
});
