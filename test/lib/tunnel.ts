import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silent } from "../../core/log.js";
import { openMesh } from "../../kernel/mesh.js";
import type { Wireguard, WireguardPeer } from "../../kernel/model.js";
import { createNetns, removeNetns } from "../../kernel/netns.js";
import type { WireguardDevices } from "../../kernel/parts.js";
import { ensureKeyFile } from "../../kernel/wireguard/keys.js";
import { openWireguard } from "../../kernel/wireguard/open.js";
import { systemClock } from "../../program/clock.js";
import { check } from "./command.js";

/** A node of a test: its own namespace with an address on the underlay, its mesh namespace, and what carries WireGuard there. */
export interface TunnelNode {
  readonly node: string;
  readonly mesh: string;
  readonly underlay: string;
  readonly tunnelAddress: string;
  readonly device: Wireguard;
  readonly logDir: string;
  devices: WireguardDevices;
}

/** Runs a command in the namespace at that path. */
export function inside(netns: string, command: string): Promise<string> {
  return check("nsenter", [`--net=${netns}`, "--", "sh", "-c", command]);
}

/** How the two nodes are joined. */
export interface TunnelOptions {
  /** Names of namespaces and devices begin so. */
  readonly prefix: string;
  readonly family?: 4 | 6;
  /** The MTU between the two routers' sides; the nodes' own is always 1500. */
  readonly wanMtu?: number;
  readonly tunnelMtu?: number;
  /** Whether the router says that a packet is too large; it does not unless told. */
  readonly told?: boolean;
  readonly flavour?: "kernel" | "wireguard-go";
}

/** Two nodes with a router between them that sends no ICMP errors. No WireGuard device yet. */
export class TunnelNodes implements AsyncDisposable {
  readonly a: TunnelNode;
  readonly b: TunnelNode;
  readonly #options: TunnelOptions;
  readonly #folder: string;

  private constructor(options: TunnelOptions, folder: string) {
    this.#options = options;
    this.#folder = folder;
    this.a = this.#node(1);
    this.b = this.#node(2);
  }

  static async start(options: TunnelOptions): Promise<TunnelNodes> {
    for (const name of names(options.prefix)) removeNetns(name);
    for (const name of names(options.prefix).slice(0, 3)) createNetns(name);
    const folder = mkdtempSync(join(tmpdir(), "isthmus-test-"));
    await wire(options);
    await inside(`/run/netns/${options.prefix}-node1`, `ping -c 1 -i 0.1 -w 5 ${underlay(options, 2)}`);
    return new TunnelNodes(options, folder);
  }

  /** Both devices, then the peers, the answering side's first: when both begin a handshake at once it takes 5 s. */
  async join(): Promise<void> {
    for (const one of [this.a, this.b]) await this.add(one, one.device);
    const { endpoint: _, ...passive } = this.peer(this.b, this.a);
    await this.add(this.b, { ...passive, keepalive: 0 });
    for (const one of [this.a, this.b]) await this.address(one);
    await this.add(this.a, this.peer(this.a, this.b));
  }

  /** Gives the tunnel device its address and the route to the other. */
  async address({ mesh, device, tunnelAddress }: TunnelNode): Promise<void> {
    const setting = `/proc/sys/net/ipv6/conf/${device.name}/disable_ipv6`;
    await inside(mesh, `echo 0 > ${setting}; ip addr replace ${tunnelAddress}/64 dev ${device.name} nodad`);
  }

  /** How `from` sees `to`. */
  peer(from: TunnelNode, to: TunnelNode): WireguardPeer {
    const host = to.underlay.includes(":") ? `[${to.underlay}]` : to.underlay;
    const endpoint = `${host}:${to.device.listenPort}`;
    const allowedIps = [`${to.tunnelAddress}/128`];
    return { kind: "wireguard-peer", device: from.device.name, publicKey: to.device.publicKey, endpoint, allowedIps, keepalive: 25 };
  }

  async add(node: TunnelNode, value: Wireguard | WireguardPeer): Promise<void> {
    await node.devices.apply({ op: "add", key: "", value });
  }

  async remove(node: TunnelNode, old: Wireguard | WireguardPeer): Promise<void> {
    await node.devices.apply({ op: "delete", key: "", old });
  }

  /** Takes over what the node has, as a process that was started anew does. */
  async restart(node: TunnelNode): Promise<void> {
    await node.devices[Symbol.asyncDispose]();
    node.devices = this.#open(node);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const one of [this.a, this.b]) {
      await this.remove(one, one.device);
      await one.devices[Symbol.asyncDispose]();
    }
    for (const name of names(this.#options.prefix)) removeNetns(name);
    rmSync(this.#folder, { recursive: true });
  }

  #node(n: 1 | 2): TunnelNode {
    const { prefix, tunnelMtu = 1408 } = this.#options;
    const mesh = openMesh(`${prefix}-mesh${n}`).path;
    const privateKeyFile = join(this.#folder, `key${n}`);
    const name = `${prefix}wg${n}`;
    const alias = `isthmus:${prefix}:tunnel`;
    const publicKey = ensureKeyFile(privateKeyFile);
    const device: Wireguard = { kind: "wireguard", name, alias, listenPort: 51820, privateKeyFile, publicKey, mtu: tunnelMtu };
    const node = `/run/netns/${prefix}-node${n}`;
    const base = {
      node,
      mesh,
      underlay: underlay(this.#options, n),
      tunnelAddress: `fd00:5::${n}`,
      device,
      logDir: join(this.#folder, "log"),
    };
    return { ...base, devices: this.#open(base) };
  }

  #open({ node, mesh, logDir }: { node: string; mesh: string; logDir: string }): WireguardDevices {
    return openWireguard({ mesh, node, clock: systemClock, log: silent, logDir, flavour: this.#options.flavour });
  }
}

function names(prefix: string): string[] {
  return ["node1", "node2", "router", "mesh1", "mesh2"].map((name) => `${prefix}-${name}`);
}

function underlay({ family = 4 }: TunnelOptions, n: 1 | 2): string {
  return family === 4 ? `10.77.${n}.2` : `fd77:${n}::2`;
}

async function wire(options: TunnelOptions): Promise<void> {
  const { prefix, family = 4, wanMtu = 1500 } = options;
  const router = `/run/netns/${prefix}-router`;
  const dash = family === 4 ? "24" : "64 nodad";
  const gateway = (n: number): string => (family === 4 ? `10.77.${n}.1` : `fd77:${n}::1`);
  for (const n of [1, 2] as const) {
    await inside(router, `ip link add lan${n} type veth peer name eth0 netns ${prefix}-node${n} && ip link set lan${n} up`);
    await inside(router, `ip addr add ${gateway(n)}/${dash} dev lan${n} noprefixroute`);
    const node = `/run/netns/${prefix}-node${n}`;
    await inside(node, `ip link set lo up; ip link set eth0 up; ip addr add ${underlay(options, n)}/${dash} dev eth0`);
    await inside(node, `ip -${family} route add default via ${gateway(n)}`);
    // The narrow place is on the router's way out, so that the router would have to say so, and it does not.
    const network = family === 4 ? `10.77.${n}.0/24` : `fd77:${n}::/64`;
    await inside(router, `ip -${family} route add ${network} dev lan${n} mtu lock ${wanMtu}`);
  }
  await inside(router, "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
  if (options.told) return;
  await inside(
    router,
    `nft 'add table inet t; add chain inet t o { type filter hook output priority 0; };
         add rule inet t o icmp type destination-unreachable drop; add rule inet t o icmpv6 type packet-too-big drop'`,
  );
}
