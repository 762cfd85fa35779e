import type { Mechanism } from "../api/gen/connection/connection.js";
import type { Netns } from "../kernel/model.js";
import type { Ports } from "../kernel/netlink/rule.js";

/** One connection through this node, as everything in the kernel follows from it. Plain JSON: it is kept on disk. */
export interface CrossConnect {
  /** The connection's id in this hop's path segment. */
  readonly id: string;
  readonly payload: "IP" | "ETHERNET";
  /** What the path agreed on, for packets in the pod; 0 is unset. */
  readonly mtu: number;
  readonly addresses: Addresses;
  /** Towards the client. */
  readonly client: Side;
  /** Towards the endpoint. */
  readonly endpoint: Side;
}

/** How one side of a cross-connect leaves the mesh namespace, and the mechanism that both hops agreed on. */
export type Side = KernelSide | TunnelSide | WireguardSide | VxlanSide;

/** An interface in a pod of this node. */
export interface KernelSide {
  readonly kind: "kernel";
  readonly mechanism: Mechanism;
  readonly pod: Netns;
  readonly name: string;
  /** Whether the interface takes packets from and to 127.0.0.0/8. */
  readonly routeLocalnet?: boolean | undefined;
}

/** A VXLAN device inside the node tunnel. */
export interface TunnelSide {
  readonly kind: "node-tunnel";
  readonly mechanism: Mechanism;
  /** On which this node receives. */
  readonly vni: number;
  readonly peerVni: number;
  /** The peer's tunnel address. */
  readonly peer: string;
}

/** A WireGuard device of this connection alone. */
export interface WireguardSide {
  readonly kind: "wireguard";
  readonly mechanism: Mechanism;
  readonly listenPort: number;
  readonly keyFile: string;
  readonly publicKey: string;
  readonly peerKey: string;
  readonly peerEndpoint: string;
  /** Waits for the peer to begin: two handshakes at once cost 5 s. */
  readonly waits: boolean;
}

/** NSM's plain VXLAN, on the node's own network. */
export interface VxlanSide {
  readonly kind: "vxlan";
  readonly mechanism: Mechanism;
  readonly vni: number;
  readonly udpPort: number;
  readonly local: string;
  readonly remote: string;
}

/** What the endpoint assigned (contract 1.5 and 2.3): src is the client's end, dst the endpoint's. Canonical text. */
export interface Addresses {
  readonly src: readonly string[];
  readonly dst: readonly string[];
  readonly srcRoutes: readonly NextHop[];
  readonly dstRoutes: readonly NextHop[];
  readonly neighbours: readonly { readonly address: string; readonly mac: string }[];
  readonly policies?: readonly Policy[] | undefined;
  readonly srcMac?: string | undefined;
  readonly dstMac?: string | undefined;
}

/** Packets of the client that match all that is said take these routes; none is a default route. */
export interface Policy {
  readonly from?: string | undefined;
  readonly protocol?: number | undefined;
  readonly sourcePorts?: Ports | undefined;
  readonly destinationPorts?: Ports | undefined;
  readonly routes: readonly NextHop[];
}

/** A route as the endpoint asked for it; without `via` it goes to the peer. */
export interface NextHop {
  readonly prefix: string;
  readonly via?: string | undefined;
}
