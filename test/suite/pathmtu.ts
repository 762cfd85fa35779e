import { equal, ok, rejects } from "node:assert/strict";
import { probePathMtu } from "../../kernel/pathmtu.js";
import { systemClock } from "../../program/clock.js";
import { inside, type TunnelNode, TunnelNodes, type TunnelOptions } from "../lib/tunnel.js";

const prefix = "kb-mtu";
const options = { clock: systemClock, signal: new AbortController().signal };

/** How large packets may be in a tunnel: run for the kernel's WireGuard and for wireguard-go. `patience` times what it may take. */
export function pathMtuSuite(flavour: "kernel" | "wireguard-go", patience = 1): void {
  // A slow machine misses answers, and then takes less than it could.
  const tolerance = patience === 1 ? 16 : 64;
  describe(`the path's MTU: ${flavour}`, () => {
    it("is the expected one, after one round trip, where the path carries it", async () => {
      await using nodes = await joined({ tunnelMtu: 1440 });
      const start = performance.now();
      equal(await probe(nodes.a, nodes.b, 1_420), 1_420);
      const took = performance.now() - start;
      ok(took < 100 * patience, `${took} ms`);
    });

    for (const [family, overhead] of [
      [4, 60],
      [6, 80],
    ] as const) {
      for (const told of [false, true]) {
        it(`is found where the WAN is narrow and ${told ? "says so" : "tells nobody"}, over IPv${family}`, async () => {
          await using nodes = await joined({ family, wanMtu: 1400, tunnelMtu: 1500 - overhead, told });
          const start = performance.now();
          const found = await probe(nodes.a, nodes.b, 1_500 - overhead);
          const took = performance.now() - start;
          // Up to 15 bytes are WireGuard's padding.
          ok(found !== undefined && found <= 1_400 - overhead && found > 1_400 - overhead - tolerance, `${found}`);
          ok(took < (told ? 800 : 400) * patience, `${took} ms`);
          const again = (await probe(nodes.a, nodes.b, 1_500 - overhead)) ?? 0;
          ok(again <= 1_400 - overhead && again > 1_400 - overhead - tolerance, `${again}, the second time`);
        });
      }
    }

    it("lets WireGuard's packets be cut in two as soon as it is known, and leaves nothing in the node's namespace", async () => {
      await using nodes = await joined({ wanMtu: 1400, tunnelMtu: 1440 });
      await probe(nodes.a, nodes.b, 1_440);
      const ends = { source: nodes.a.tunnelAddress, destination: nodes.b.tunnelAddress };
      equal(await probePathMtu(nodes.a.mesh, { ...options, ...ends, expected: 1_440 }), 1_440);
      equal(await inside(nodes.a.node, "nft list tables"), "");
    });

    it("is unknown where not even the lowest gets through", async () => {
      await using nodes = await joined({ tunnelMtu: 1440 });
      await inside(nodes.b.node, "ip link set eth0 down");
      const ends = { source: nodes.a.tunnelAddress, destination: nodes.b.tunnelAddress };
      equal(await probePathMtu(nodes.a.mesh, { ...options, ...ends, expected: 1_400, timeoutMs: 200 }), undefined);
    });

    it("is not asked for any more when the caller goes away", async () => {
      await using nodes = await joined({});
      const ends = { source: nodes.a.tunnelAddress, destination: nodes.b.tunnelAddress };
      const signal = AbortSignal.abort(new Error("gone home"));
      await rejects(probePathMtu(nodes.a.mesh, { ...ends, clock: systemClock, signal, expected: 1_300 }), /gone home/);
    });
  });

  /** Two nodes that have shaken hands. */
  async function joined(how: Omit<TunnelOptions, "prefix" | "flavour">): Promise<TunnelNodes> {
    const nodes = await TunnelNodes.start({ prefix, flavour, ...how });
    await nodes.join();
    const ends = { source: nodes.a.tunnelAddress, destination: nodes.b.tunnelAddress };
    ok(await probePathMtu(nodes.a.mesh, { ...options, ...ends, expected: 1_280, timeoutMs: 7_000 }));
    return nodes;
  }
}

function probe(from: TunnelNode, to: TunnelNode, expected: number): Promise<number | undefined> {
  const outside = { node: from.node, remote: to.underlay, localPort: from.device.listenPort };
  return probePathMtu(from.mesh, { ...options, source: from.tunnelAddress, destination: to.tunnelAddress, expected, outside });
}
