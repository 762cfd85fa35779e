import { Lab } from "../lib/lab.js";
import { bare } from "../lib/ping.js";
import { until } from "../lib/until.js";
import { underlay, vxlanOverWireguard } from "./handMade.js";
import type { Bench, Result } from "./result.js";
import { roundTripRatio, type StreamEnds, throughputRatio } from "./rounds.js";

const prefix = "te-bench";
/** What VXLAN adds over IPv6, which the tunnel addresses are. */
const vxlanOverhead = 70;
const bar = { atLeast: 0.97 } as const;

/** Two members in two sites, against VXLAN over WireGuard made by hand with the same MTUs. */
async function measure(layer: "l2" | "l3"): Promise<Result[]> {
  await using lab = await Lab.up(prefix, { sites: "paris=1,tokyo=1" });
  await lab.ctl("create", "segment", "speed", "--layer", layer, "--prefix", "10.60.0.0/16", "--sites", "paris,tokyo");
  await lab.pod("client", "paris-1");
  await lab.pod("server", "tokyo-1");
  await until("tokyo knows the segment", 5_000, async () => (await lab.ctl("--node", "tokyo-1", "get", "services")).includes("speed"));
  const client = await lab.request("paris-1", "speed", "client");
  const server = await lab.request("tokyo-1", "speed", "server");
  const sides = [await underlay(lab, "paris-1", 4), await underlay(lab, "tokyo-1", 4)] as const;
  await using beside = await vxlanOverWireguard(prefix, sides, { wireguard: client.mtu + vxlanOverhead, vxlan: client.mtu });
  const ours: StreamEnds = {
    client: (command, ...args) => lab.exec("pod-client", command, ...args),
    server: (command, ...args) => lab.spawn("pod-server", command, ...args),
    address: bare(server.addresses[0] ?? ""),
  };
  return [
    await throughputRatio(`segment-${layer}-throughput`, ours, beside.ends, bar),
    await roundTripRatio(`segment-${layer}-round-trips`, ours, beside.ends, bar),
  ];
}

export const segments: readonly Bench[] = (["l2", "l3"] as const).map((layer) => ({ name: `segment-${layer}`, run: () => measure(layer) }));
