import { deepEqual, equal, ok } from "node:assert/strict";
import { basename } from "node:path";
import { silent } from "../../core/log.js";
import type { CrossConnect } from "../../forwarder/crossConnect.js";
import { desired, desiredPeer, desiredTunnel, type TunnelNode as OwnEnd } from "../../forwarder/desired.js";
import { plan } from "../../forwarder/plan.js";
import { ping } from "../../kernel/icmp.js";
import type { Kernel, KernelObject, Netns } from "../../kernel/model.js";
import { createNetns, removeNetns } from "../../kernel/netns.js";
import { type CountingVxlanFilter, openVxlanFilter } from "../../kernel/nft.js";
import { probePathMtu } from "../../kernel/pathmtu.js";
import { openKernel } from "../../kernel/real.js";
import { systemClock } from "../../program/clock.js";
import { inside, type TunnelNode, TunnelNodes } from "../lib/tunnel.js";

const prefix = "kb-tun";
const { signal } = new AbortController();
const addresses = {
  client: ["172.16.1.2/32", "2001:db8:1::2/128"],
  endpoint: ["172.16.1.1/32", "2001:db8:1::1/128"],
} as const;
const mtu = 1_320;

/** A node with a real kernel, told what to have by the forwarder's own code. */
interface Side {
  readonly node: TunnelNode;
  readonly own: OwnEnd;
  readonly kernel: Kernel;
  readonly filter: CountingVxlanFilter;
  readonly pod: Netns;
  readonly wanted: readonly KernelObject[];
}

/** Two pods of two nodes, joined through the node tunnel by what `desired` and `plan` say: no other program is needed. */
export function tunnelSuite(flavour: "kernel" | "wireguard-go"): void {
  describe(`two nodes, programmed by the forwarder's code: ${flavour}`, () => {
    let nodes: TunnelNodes;
    let client: Side;
    let endpoint: Side;
    before(async () => {
      nodes = await TunnelNodes.start({ prefix, flavour, tunnelMtu: 1440 });
      endpoint = await start(nodes.b, nodes.a, "endpoint");
      await converge(endpoint);
      client = await start(nodes.a, nodes.b, "client");
      await converge(client);
    });
    after(async () => {
      for (const { kernel, filter } of [client, endpoint]) {
        await kernel[Symbol.asyncDispose]();
        filter[Symbol.dispose]();
      }
      for (const { pod } of [client, endpoint]) removeNetns(basename(pod.path));
      await nodes[Symbol.asyncDispose]();
    });

    for (const [n, family] of ["IPv4", "IPv6"].entries()) {
      it(`carries an echo from pod to pod and back over ${family}`, async () => {
        const [source, destination] = [host(addresses.client[n]), host(addresses.endpoint[n])];
        ok(await ping(client.pod, { source, destination, clock: systemClock, timeoutMs: 5_000, count: 20, signal }));
        ok(await ping(endpoint.pod, { source: destination, destination: source, clock: systemClock, timeoutMs: 5_000, count: 20, signal }));
      });

      it(`carries the pods' largest packet whole over ${family}`, async () => {
        const ends = { source: host(addresses.client[n]), destination: host(addresses.endpoint[n]) };
        equal(await probePathMtu(client.pod, { ...ends, expected: mtu, clock: systemClock, signal }), mtu);
      });
    }

    it("shows the underlay WireGuard and nothing else", async () => {
      const pattern = "69737468";
      const capture = inside(nodes.b.node, "timeout 3 tcpdump -Z root -n -x -l -i eth0 ip or ip6 2>/dev/null || true");
      await inside(client.pod.path, `sleep 1; ping -q -c 5 -i 0.2 -p ${pattern} ${host(addresses.endpoint[0])}`);
      const lines = (await capture).split("\n");
      ok(!lines.join("").replaceAll(" ", "").includes(pattern.repeat(2)));
      // IPv6 keeps house on every link.
      const headers = lines.filter((line) => /^\d\d:/.test(line) && !/ICMP6, (neighbor|router|multicast listener)/.test(line));
      ok(headers.length >= 10);
      deepEqual(
        headers.filter((line) => !/\.51820 > .*\.51820: UDP/.test(line)),
        [],
      );
    });

    it("lets no VXLAN in but from the peer with the right VNI", async () => {
      const before = endpoint.filter.drops().unknown;
      await client.kernel.apply([{ op: "replace", key: "", value: remote(client, 4_242), old: remote(client) }]);
      const ends = { source: host(addresses.client[0]), destination: host(addresses.endpoint[0]) };
      equal(await ping(client.pod, { ...ends, clock: systemClock, timeoutMs: 500, count: 3, signal }), false);
      ok(endpoint.filter.drops().unknown >= before + 3);
      await client.kernel.apply([{ op: "replace", key: "", value: remote(client), old: remote(client, 4_242) }]);
      ok(await ping(client.pod, { ...ends, clock: systemClock, timeoutMs: 2_000, count: 5, signal }));
    });

    it("needs no step more, and after a restart neither", async () => {
      for (const side of [client, endpoint]) {
        deepEqual(plan(side.wanted, await side.kernel.list(side.wanted)), []);
        await nodes.restart(side.node);
        const again = await open(side.node, side.filter);
        deepEqual(plan(side.wanted, await again.list(side.wanted)), []);
        await again[Symbol.asyncDispose]();
      }
    });

    it("leaves nothing when nothing is wanted any more", async () => {
      for (const side of [client, endpoint]) {
        const kernel = await open(side.node, side.filter);
        deepEqual(await kernel.apply(plan([], await kernel.list(side.wanted))), []);
        deepEqual(await kernel.list([]), []);
        await kernel[Symbol.asyncDispose]();
        const links = (await inside(side.node.mesh, "ip -o link")).trim().split("\n");
        equal(links.length, 1, links.join("\n"));
        ok(!(await inside(side.pod.path, "ip -o link")).includes("nsm0"));
      }
    });
  });
}

async function converge({ kernel, wanted }: Side): Promise<void> {
  deepEqual(await kernel.apply(plan(wanted, await kernel.list(wanted))), []);
}

function open(node: TunnelNode, filter: CountingVxlanFilter): Promise<Kernel> {
  return openKernel({ mesh: basename(node.mesh), node: node.node, clock: systemClock, log: silent, wireguard: node.devices, filter });
}

async function start(node: TunnelNode, other: TunnelNode, role: "client" | "endpoint"): Promise<Side> {
  const filter = openVxlanFilter(node.mesh);
  removeNetns(`${prefix}-${role}`);
  const pod = createNetns(`${prefix}-${role}`);
  const own = endOf(node);
  // The requesting side begins the handshake; the answering one has the peer before, without an endpoint.
  const endpoint = role === "client" ? `${other.underlay}:${other.device.listenPort}` : undefined;
  const peer = { address: other.tunnelAddress, publicKey: other.device.publicKey, endpoint, mtu: own.mtu };
  const connect = crossConnect(role, pod, other.tunnelAddress);
  const view = { tunnel: own, peerMtu: () => own.mtu };
  const wanted = [...desiredTunnel(own), ...desiredPeer(peer, own), ...desired(connect, view)];
  return { node, own, filter, pod, wanted, kernel: await open(node, filter) };
}

function endOf({ device, tunnelAddress }: TunnelNode): OwnEnd {
  const { name, alias, listenPort, privateKeyFile, publicKey } = device;
  return { device: name, alias, listenPort, privateKeyFile, publicKey, address: tunnelAddress, mtu: device.mtu, vxlanPort: 4789 };
}

function crossConnect(role: "client" | "endpoint", pod: Netns, peer: string): CrossConnect {
  const kernel = { kind: "kernel", mechanism: { cls: "LOCAL", type: "KERNEL", parameters: {} }, pod, name: "nsm0" } as const;
  const vnis = role === "client" ? { vni: 77, peerVni: 88 } : { vni: 88, peerVni: 77 };
  const tunnel = { kind: "node-tunnel", mechanism: { cls: "REMOTE", type: "NODE_TUNNEL", parameters: {} }, peer, ...vnis } as const;
  const routes = (to: readonly string[]) => to.map((prefix) => ({ prefix }));
  return {
    id: `kb-${role}`,
    payload: "IP",
    mtu,
    addresses: {
      ...{ src: addresses.client, dst: addresses.endpoint, neighbours: [] },
      ...{ srcRoutes: routes(addresses.endpoint), dstRoutes: routes(addresses.client) },
    },
    client: role === "client" ? kernel : tunnel,
    endpoint: role === "client" ? tunnel : kernel,
  };
}

/** The side's entry of where its VXLAN device sends, or the same with another VNI. */
function remote({ wanted }: Side, vni?: number): KernelObject {
  const found = wanted.find((object) => object.kind === "vxlan-remote");
  ok(found?.kind === "vxlan-remote");
  return { ...found, vni: vni ?? found.vni };
}

function host(address = ""): string {
  return address.split("/")[0] ?? "";
}
