import { MeshError } from "../core/error.js";
import type { KernelObject, Port, Redirect, VxlanRemote } from "../kernel/model.js";
import type { CrossConnect, KernelSide, Side, TunnelSide, VxlanSide, WireguardSide } from "./crossConnect.js";
import { connectionMtu, leastInTunnel, vxlanInTunnel } from "./mtu.js";
import { aliasOf, deviceOf, type Role } from "./names.js";
import { podMac, podObjects } from "./pod.js";

/** The node's end of all its node tunnels. */
export interface TunnelNode {
  readonly device: string;
  readonly alias: string;
  readonly listenPort: number;
  readonly privateKeyFile: string;
  readonly publicKey: string;
  /** The tunnel address: what VXLAN inside is sent from. */
  readonly address: string;
  readonly mtu: number;
  /** The UDP port of VXLAN inside the tunnel. */
  readonly vxlanPort: number;
}

/** Another node, as the node tunnel knows it. */
export interface TunnelPeer {
  readonly address: string;
  readonly publicKey: string;
  /** Where it was last seen, or said to be. */
  readonly endpoint?: string | undefined;
  /** The largest packet that WireGuard carries to it whole, as measured. */
  readonly mtu?: number | undefined;
}

/** What the objects of a connection need to know of the node. */
export interface NodeView {
  readonly tunnel: TunnelNode;
  readonly peerMtu: (address: string) => number | undefined;
}

const keepalive = 25;

/** The node tunnel itself. */
export function desiredTunnel(tunnel: TunnelNode): KernelObject[] {
  const { device, alias, listenPort, privateKeyFile, publicKey, mtu, address } = tunnel;
  return [
    { kind: "wireguard", name: device, alias, listenPort, privateKeyFile, publicKey, mtu },
    { kind: "address", where: "mesh", device, address: `${address}/128` },
  ];
}

/** One peer of the node tunnel, and the way to it. Without an endpoint the peer begins, and no keepalive is sent. */
export function desiredPeer(peer: TunnelPeer, tunnel: TunnelNode): KernelObject[] {
  const allowed = `${peer.address}/128`;
  return [
    {
      kind: "wireguard-peer",
      device: tunnel.device,
      publicKey: peer.publicKey,
      ...(peer.endpoint === undefined ? {} : { endpoint: peer.endpoint }),
      allowedIps: [allowed],
      keepalive: peer.endpoint === undefined ? 0 : keepalive,
    },
    {
      kind: "route",
      where: "mesh",
      device: tunnel.device,
      prefix: allowed,
      ...(peer.mtu === undefined ? {} : { mtu: Math.max(peer.mtu, leastInTunnel) }),
    },
  ];
}

/** All that one connection has in the kernel. Throws "unsupported" where both sides leave the node. */
export function desired(connect: CrossConnect, node: NodeView): KernelObject[] {
  checkSides(connect.client.kind, connect.endpoint.kind);
  const mtu = effectiveMtu(connect, node);
  return [
    ...sideObjects(connect, "client", connect.client, node, mtu),
    ...sideObjects(connect, "endpoint", connect.endpoint, node, mtu),
    redirect(connect, "client", "endpoint"),
    redirect(connect, "endpoint", "client"),
  ];
}

/** The MTU of the connection as far as it is known now: it may still shrink when the way to the peer is measured. */
export function effectiveMtu(connect: CrossConnect, node: NodeView): number {
  return connectionMtu(connect, tunnelLimit(connect, node));
}

/** A node never carries other nodes' packets: one side of a connection is a pod of its own. */
export function checkSides(client: Side["kind"], endpoint: Side["kind"] | "remote"): void {
  if (client === "kernel" || endpoint === "kernel") return;
  throw new MeshError(
    "unsupported",
    `this node would only pass the connection on (${client} to ${endpoint}); ask for it at the node of the client or of the endpoint`,
  );
}

function tunnelLimit(connect: CrossConnect, node: NodeView): number {
  const limits = [connect.client, connect.endpoint].map((side) => {
    const mtu = side.kind === "node-tunnel" ? node.peerMtu(side.peer) : undefined;
    return mtu === undefined ? 0 : mtu - vxlanInTunnel;
  });
  return limits.find((limit) => limit > 0) ?? 0;
}

function sideObjects(connect: CrossConnect, role: Role, side: Side, node: NodeView, mtu: number): KernelObject[] {
  switch (side.kind) {
    case "kernel":
      return [port(connect, role, side, mtu), ...podObjects(connect, role, side)];
    case "node-tunnel":
      return tunnelObjects(connect, role, side, node.tunnel, mtu);
    case "wireguard":
      return wireguardObjects(connect, role, side, mtu);
    case "vxlan":
      return vxlanObjects(connect, role, side, mtu);
    default:
      return side satisfies never;
  }
}

function port(connect: CrossConnect, role: Role, side: KernelSide, mtu: number): Port {
  return {
    kind: "port",
    name: deviceOf(connect.id, role, side),
    alias: aliasOf(connect.id, role),
    pod: side.pod,
    podInterface: side.name,
    podMac: podMac(connect, role),
    mtu,
    ...(side.routeLocalnet === true ? { routeLocalnet: true } : {}),
  };
}

function tunnelObjects(connect: CrossConnect, role: Role, side: TunnelSide, tunnel: TunnelNode, mtu: number): KernelObject[] {
  const name = deviceOf(connect.id, role, side);
  const device = { vni: side.vni, udpPort: tunnel.vxlanPort, local: tunnel.address, madeIn: "mesh", mtu } as const;
  return [
    { kind: "vxlan", name, alias: aliasOf(connect.id, role), ...device },
    remote(name, side.peer, side.peerVni),
    { kind: "vxlan-source", source: side.peer, vni: side.vni },
  ];
}

function wireguardObjects(connect: CrossConnect, role: Role, side: WireguardSide, mtu: number): KernelObject[] {
  const name = deviceOf(connect.id, role, side);
  const { listenPort, publicKey } = side;
  return [
    { kind: "wireguard", name, alias: aliasOf(connect.id, role), listenPort, privateKeyFile: side.keyFile, publicKey, mtu },
    {
      kind: "wireguard-peer",
      device: name,
      publicKey: side.peerKey,
      ...(side.waits ? {} : { endpoint: side.peerEndpoint }),
      allowedIps: ["0.0.0.0/0", "::/0"],
      // As NSM has it, so that either side may sit behind a NAT.
      keepalive: side.waits ? 0 : 10,
    },
  ];
}

function vxlanObjects(connect: CrossConnect, role: Role, side: VxlanSide, mtu: number): KernelObject[] {
  const name = deviceOf(connect.id, role, side);
  const device = { vni: side.vni, udpPort: side.udpPort, local: side.local, madeIn: "node", mtu } as const;
  return [{ kind: "vxlan", name, alias: aliasOf(connect.id, role), ...device }, remote(name, side.remote, side.vni)];
}

function remote(device: string, address: string, vni: number): VxlanRemote {
  return { kind: "vxlan-remote", device, address, vni };
}

function redirect(connect: CrossConnect, fromRole: Role, toRole: Role): Redirect {
  const [from, to] = [connect[fromRole], connect[toRole]];
  return {
    kind: "redirect",
    from: deviceOf(connect.id, fromRole, from),
    to: deviceOf(connect.id, toRole, to),
    by: to.kind === "kernel" ? "peer" : "device",
    ...(from.kind === "wireguard" ? { ethernet: { destination: podMac(connect, toRole), source: podMac(connect, fromRole) } } : {}),
  };
}
