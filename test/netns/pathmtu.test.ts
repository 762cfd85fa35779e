import { equal, ok, rejects } from "node:assert/strict";
import { probePathMtu } from "../../kernel/pathmtu.js";
import { systemClock } from "../../program/clock.js";
import { inside, type TunnelNode, TunnelNodes } from "../lib/tunnel.js";

const options = { clock: systemClock, signal: new AbortController().signal };

function probe(from: TunnelNode, to: TunnelNode, expected: number): Promise<number | undefined> {
  return probePathMtu(from.mesh, { ...options, source: from.tunnelAddress, destination: to.tunnelAddress, expected });
}

describe("the path's MTU", () => {
  it("is the expected one, after one round trip, where the path carries it", async () => {
    await using nodes = await TunnelNodes.start({ prefix: "kb-mtu", tunnelMtu: 1440 });
    await nodes.join();
    await probe(nodes.a, nodes.b, 1_300); // the handshake
    const start = performance.now();
    equal(await probe(nodes.a, nodes.b, 1_440), 1_440);
    const took = performance.now() - start;
    ok(took < 100, `${took} ms`);
  });

  it("is found where the WAN is narrow and tells nobody, over IPv6", async () => {
    await using nodes = await TunnelNodes.start({ prefix: "kb-mtu", family: 6, wanMtu: 1400, tunnelMtu: 1420 });
    await nodes.join();
    await probe(nodes.a, nodes.b, 1_300);
    const start = performance.now();
    const found = await probe(nodes.a, nodes.b, 1_420);
    const took = performance.now() - start;
    // 80 bytes of WireGuard over IPv6, and its padding to 16 bytes.
    ok(found !== undefined && found <= 1_320 && found > 1_320 - 16, `${found}`);
    ok(took < 300, `${took} ms`);
  });

  it("is unknown where not even the lowest gets through", async () => {
    await using nodes = await TunnelNodes.start({ prefix: "kb-mtu", tunnelMtu: 1440 });
    await nodes.join();
    await inside(nodes.b.node, "ip link set eth0 down");
    const { tunnelAddress: source } = nodes.a;
    equal(await probePathMtu(nodes.a.mesh, { ...options, source, destination: "fd00:5::2", expected: 1_400, timeoutMs: 200 }), undefined);
  });

  it("stops asking when the caller goes away", async () => {
    await using nodes = await TunnelNodes.start({ prefix: "kb-mtu" });
    await nodes.join();
    const signal = AbortSignal.abort(new Error("gone home"));
    const ends = { source: nodes.a.tunnelAddress, destination: nodes.b.tunnelAddress };
    await rejects(probePathMtu(nodes.a.mesh, { ...ends, clock: systemClock, signal, expected: 1_300 }), /gone home/);
  });
});
