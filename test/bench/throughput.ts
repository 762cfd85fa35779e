import { Lab, type Requested } from "../lib/lab.js";
import { bare } from "../lib/ping.js";
import { type HandMade, underlay, vethPair, vxlanOverWireguard, vxlanPair, wireguardPods } from "./handMade.js";
import type { Bar, Bench, Result } from "./result.js";
import { type StreamEnds, throughputRatio } from "./rounds.js";

const prefix = "te-bench";

/** One connection of ours in a lab of its own, held against something made by hand beside it. */
interface Setup {
  readonly name: string;
  readonly bar: Bar;
  readonly sites: string;
  readonly nodes: readonly [client: string, server: string];
  readonly family?: 4 | 6;
  readonly payload?: "ip" | "ethernet";
  readonly mechanism?: string;
  /** Changes the lab before anything connects. */
  readonly prepare?: (lab: Lab) => Promise<void>;
  readonly handMade: (lab: Lab, connection: Requested) => Promise<HandMade>;
}

async function measure(setup: Setup): Promise<Result> {
  await using lab = await Lab.up(prefix, { sites: setup.sites, underlay: setup.family === 6 ? "6" : "4" });
  await setup.prepare?.(lab);
  const [client, server] = setup.nodes;
  await lab.pod("client", client);
  await lab.pod("server", server);
  await lab.serve(server, "speed", "server", "172.16.1.0/24", "--payload", setup.payload ?? "ip");
  const connection = await lab.request(client, "speed", "client", ...(setup.mechanism ? ["--mechanism", setup.mechanism] : []));
  await using beside = await setup.handMade(lab, connection);
  const ours: StreamEnds = {
    client: (command, ...args) => lab.exec("pod-client", command, ...args),
    server: (command, ...args) => lab.spawn("pod-server", command, ...args),
    address: bare(connection.peerAddresses[0] ?? ""),
  };
  return await throughputRatio(setup.name, ours, beside.ends, setup.bar);
}

async function sides(lab: Lab, nodes: readonly [string, string], family: 4 | 6) {
  return [await underlay(lab, nodes[0], family), await underlay(lab, nodes[1], family)] as const;
}

const apart = ["paris-1", "tokyo-1"] as const;
const twoSites = "paris=1,tokyo=1";
/** What VXLAN adds over IPv6, which the tunnel addresses are. */
const vxlanOverhead = 70;

/** A WAN that carries less than its ends believe, and tells nobody. */
function narrow(family: 4 | 6): (lab: Lab) => Promise<void> {
  return async (lab) => {
    const links = JSON.parse(await lab.exec("wan", "ip", "-j", "link", "show", "type", "bridge")) as { ifname: string }[];
    for (const link of links) await lab.exec("wan", "ip", "link", "set", link.ifname, "mtu", "1400");
    // The control plane's TCP has to find the way's size without ICMP as well.
    for (const node of apart) await lab.exec(node, "sysctl", "-q", "-w", "net.ipv4.tcp_mtu_probing=2");
    const filter = family === 4 ? "ip protocol icmp icmp type destination-unreachable drop" : "icmpv6 type packet-too-big drop";
    await lab.exec(
      "wan",
      "nft",
      `add table inet narrow; add chain inet narrow out { type filter hook output priority 0; }; add rule inet narrow out ${filter}`,
    );
  };
}

/** Hand-made with the MTUs that ours has: what WireGuard pads would not get through a narrow WAN otherwise. */
const tunnelAgainst = (family: 4 | 6) => async (lab: Lab, connection: Requested) =>
  vxlanOverWireguard(prefix, await sides(lab, apart, family), { wireguard: connection.mtu + vxlanOverhead, vxlan: connection.mtu });

const setups: readonly Setup[] = [
  {
    name: "throughput-same-node",
    bar: { atLeast: 0.98 },
    sites: "paris=1",
    nodes: ["paris-1", "paris-1"],
    handMade: () => vethPair(prefix),
  },
  {
    name: "throughput-vxlan-plain",
    bar: { atLeast: 0.97 },
    sites: twoSites,
    nodes: apart,
    payload: "ethernet",
    mechanism: "vxlan",
    handMade: async (lab, connection) => vxlanPair(prefix, await sides(lab, apart, 4), connection.mtu),
  },
  {
    name: "throughput-node-tunnel",
    bar: { atLeast: 0.97 },
    sites: twoSites,
    nodes: apart,
    handMade: tunnelAgainst(4),
  },
  {
    name: "throughput-wireguard",
    bar: { atLeast: 0.97 },
    sites: twoSites,
    nodes: apart,
    mechanism: "wireguard",
    handMade: async (lab, connection) => wireguardPods(prefix, await sides(lab, apart, 4), connection.mtu),
  },
  ...([4, 6] as const).map(
    (family): Setup => ({
      name: `throughput-narrow-wan-v${family}`,
      bar: { atLeast: 0.97 },
      sites: twoSites,
      nodes: apart,
      family,
      prepare: narrow(family),
      handMade: tunnelAgainst(family),
    }),
  ),
];

export const throughput: readonly Bench[] = setups.map((setup) => ({ name: setup.name, run: async () => [await measure(setup)] }));
