/**
 * What the forwarder may want in the kernel, as plain values, and what the kernel has, in the same words.
 * `kernel/real` and `kernel/fake` speak them; `forwarder/desired.ts` makes them.
 */

import type { RuleValue } from "./netlink/rule.js";

/** A network namespace by path. The cookie (SO_NETNS_COOKIE, decimal) says whether it is still the same one; an inode does not. */
export interface Netns {
  readonly path: string;
  readonly cookie: string;
}

/** What a segment's namespace does with its members' packets: switch frames, or route. */
export type SegmentLayer = "l2" | "l3";

/** Where an object lives: the kernel's own namespace (the node's mesh, or a segment's), or a pod's. */
export type Where = "mesh" | Netns;

/**
 * What is wrong with a found device that its other fields cannot say, as "the pod's end is down". Only found state has it: a
 * wanted value never does, so it always is a difference, and "replace" repairs it.
 */
export interface Faulty {
  readonly fault?: string | undefined;
}

/** A bridge in a segment's namespace: without spanning tree and VLANs. Up. */
export interface Bridge extends Faulty {
  readonly kind: "bridge";
  readonly name: string;
  readonly alias: string;
  readonly mac: string;
  readonly mtu: number;
  /** Whether multicast goes only where somebody listens, and whether the bridge asks who does. */
  readonly multicastSnooping: boolean;
  readonly querier: boolean;
}

/** What a device does as a port of a bridge. */
export interface BridgePort {
  readonly bridge: string;
  /** Whether frames for MAC addresses that the bridge does not know leave through it. */
  readonly flood: boolean;
  /** Whether the bridge learns who is behind it. */
  readonly learning: boolean;
  /** Whether the bridge answers ARP and ND for the neighbours it knows behind it, in their place, and lets no such question out of it. */
  readonly neighSuppress: boolean;
  /** Whether it passes nothing to and from other isolated ports. */
  readonly isolated: boolean;
  /** Whether all multicast leaves through it, and what tells who listens. */
  readonly multicastRouter: boolean;
}

/** A veth pair: the port in the mesh namespace, its other end, and nothing else, in a pod. Both ends up. */
export interface Port extends Faulty {
  readonly kind: "port";
  /** At most 15 characters, unique in the mesh namespace; names made by `deviceName`. */
  readonly name: string;
  /** The owner tag, on the port's side where no pod can write: `isthmus:CONNECTION-ID:ROLE`. */
  readonly alias: string;
  readonly pod: Netns;
  readonly podInterface: string;
  readonly podMac: string;
  readonly mtu: number;
  /** The MAC address of the port itself; not said: as it came. */
  readonly mac?: string | undefined;
  /** The bridge that it is a port of; not said: of none. */
  readonly bridge?: BridgePort | undefined;
  /** Whether the pod's end takes packets from and to 127.0.0.0/8. Not said: as the pod has it. */
  readonly routeLocalnet?: boolean | undefined;
}

/** A VXLAN device in the mesh namespace, without learning, that receives on `vni`. */
export interface Vxlan extends Faulty {
  readonly kind: "vxlan";
  readonly name: string;
  readonly alias: string;
  readonly vni: number;
  readonly udpPort: number;
  /** The outer source address. */
  readonly local: string;
  /** Where it encapsulates: in the mesh namespace (so inside the node tunnel), or on the node's own network in plain text. */
  readonly madeIn: "mesh" | "node";
  readonly mtu: number;
  /** Its own MAC address; not said: as it came. */
  readonly mac?: string | undefined;
  /** The bridge that it is a port of; not said: of none. */
  readonly bridge?: BridgePort | undefined;
}

/** Where a VXLAN device sends everything: its one all-zero FDB entry. */
export interface VxlanRemote {
  readonly kind: "vxlan-remote";
  readonly device: string;
  readonly address: string;
  readonly vni: number;
}

/**
 * Where a VXLAN device sends frames to one MAC address. To several places for 00:00:00:00:00:00, which stands for all that has no entry
 * of its own. A device has these or a "vxlan-remote", not both; in a segment's namespace always these.
 */
export interface VxlanFdb {
  readonly kind: "vxlan-fdb";
  readonly device: string;
  readonly mac: string;
  readonly address: string;
  readonly vni: number;
}

/** A bridge's entry that leads frames for a MAC address to one of its ports. */
export interface BridgeFdb {
  readonly kind: "bridge-fdb";
  /** The port, or the VXLAN device. */
  readonly device: string;
  readonly mac: string;
  /** Whether it gives way to whoever sends from that MAC address at a port that learns. Not said: it stays whoever sends. */
  readonly yields?: boolean;
}

/**
 * What a port of a switched segment may send: frames from that MAC address, with these IP addresses and its own link-local one in packets,
 * ARP and neighbour discovery, without VLAN tags, nothing that only routers say, and no more than so much broadcast and multicast. A port without
 * may send nothing. It does not go with its device.
 */
export interface Guard extends Faulty {
  readonly kind: "guard";
  /** The port. */
  readonly device: string;
  readonly mac: string;
  readonly addresses: readonly string[];
  /** Whether it may send whatever it likes, but not as much. */
  readonly spoofing: boolean;
}

/**
 * Which members of a segment may talk to which, in the segment's namespace: what no rule allows is dropped, save answers, what says that
 * something cannot be delivered, and ARP and neighbour discovery. Packets to and from the namespace itself it does not concern. It hangs
 * on no device, and is found with `lo`; the members of its groups go with it.
 */
export interface Policy extends Faulty {
  readonly kind: "policy";
  readonly layer: SegmentLayer;
  readonly rules: readonly PolicyRule[];
  /** L3: the prefixes behind members, by group; none twice, and none with addresses of another of its group. */
  readonly behind: Readonly<Record<string, readonly string[]>>;
}

/** Members of one group may begin what goes to members of another. */
export interface PolicyRule {
  /** A group; not said: everybody, and on L2 as `to` also what is said to all. */
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  /** Not said: everything. */
  readonly ports?: readonly { readonly protocol: "tcp" | "udp"; readonly port: number }[] | undefined;
}

/** A member that is in a group of a policy: on L2 its MAC address, on L3 one of its addresses. Found with `lo`. */
export interface GroupMember {
  readonly kind: "group-member";
  /** `g` and twelve hexadecimal digits. */
  readonly group: string;
  readonly address: string;
}

/** A WireGuard device: made in the node's namespace, where its UDP socket stays, and moved into the mesh namespace. Up. */
export interface Wireguard extends Faulty {
  readonly kind: "wireguard";
  readonly name: string;
  readonly alias: string;
  readonly listenPort: number;
  /** Mode 0600; the key itself never appears in a value, a log or an argument. */
  readonly privateKeyFile: string;
  readonly publicKey: string;
  readonly mtu: number;
}

/** A peer of a WireGuard device of ours. An endpoint that the kernel learned is not a difference. */
export interface WireguardPeer {
  readonly kind: "wireguard-peer";
  readonly device: string;
  readonly publicKey: string;
  /** `192.0.2.1:51820` or `[2001:db8::1]:51820`; absent: wait for the peer to come. */
  readonly endpoint?: string | undefined;
  /** Canonical CIDRs, sorted. */
  readonly allowedIps: readonly string[];
  /** Seconds; 0 is off. */
  readonly keepalive: number;
}

/**
 * An address on a device, as `172.16.1.2/32`. In a segment's namespace all on `lo` are ours but the loopback addresses; in the mesh
 * namespace one on `lo` is seen where it is wanted.
 */
export interface Address {
  readonly kind: "address";
  readonly where: Where;
  readonly device: string;
  readonly address: string;
}

/** A route over a device. Without `via` it is scope link; with it, onlink. */
export interface Route {
  readonly kind: "route";
  readonly where: Where;
  readonly device: string;
  readonly prefix: string;
  /** The main table unless told; others are of `policyTable`. */
  readonly table?: number | undefined;
  /** Of several to one prefix the lowest counts; without it, a route is before all that have one of 1025 or more. */
  readonly metric?: number | undefined;
  readonly via?: string | undefined;
  /** Several gateways, used by flow; `via` is one of them, or is not said. */
  readonly hops?: readonly string[] | undefined;
  /** The preferred source address. */
  readonly source?: string | undefined;
  readonly mtu?: number | undefined;
}

/**
 * A pod's packets that match all that is said look into a table of their own first. Its table (`policyTable`) tells the port to whose
 * end it belongs. It does not go with a device. Seen only where a rule of the same port is wanted.
 */
export interface Rule extends RuleValue {
  readonly kind: "rule";
  readonly where: Netns;
  /** The pod's end. */
  readonly device: string;
}

/** A permanent neighbour entry. */
export interface Neighbour {
  readonly kind: "neighbour";
  readonly where: Where;
  readonly device: string;
  readonly address: string;
  readonly mac: string;
}

/**
 * What comes in on `from` leaves through `to`: a program on the ingress of `from`, in the mesh namespace.
 * "peer" delivers to the pod's end of port `to`; "device" transmits on `to`.
 * `ethernet` puts a header on, for frames that come from a device without one (WireGuard) and go to a port.
 */
export interface Redirect {
  readonly kind: "redirect";
  readonly from: string;
  readonly to: string;
  readonly by: "peer" | "device";
  readonly ethernet?: { readonly destination: string; readonly source: string } | undefined;
}

/** A pair that the mesh namespace's filter lets in; every other VXLAN packet is dropped. */
export interface VxlanSource {
  readonly kind: "vxlan-source";
  readonly source: string;
  readonly vni: number;
}

export type KernelObject =
  | Bridge
  | Port
  | Vxlan
  | VxlanRemote
  | VxlanFdb
  | BridgeFdb
  | Guard
  | Policy
  | GroupMember
  | Wireguard
  | WireguardPeer
  | Address
  | Route
  | Rule
  | Neighbour
  | Redirect
  | VxlanSource;

/** One change. "replace" turns `old` into `value` in place, keeping the device and its index wherever the kernel can. */
export type Step =
  | { readonly op: "add"; readonly key: string; readonly value: KernelObject }
  | { readonly op: "replace"; readonly key: string; readonly value: KernelObject; readonly old: KernelObject }
  | { readonly op: "delete"; readonly key: string; readonly old: KernelObject };

/** A step that the kernel refused; the others were done. */
export interface StepFailure {
  readonly step: Step;
  readonly error: Error;
}

/** Packets and bytes as the pod sees them would be the other way round: these are the device's own counters. */
export interface Counters {
  readonly rxBytes: number;
  readonly txBytes: number;
  readonly rxPackets: number;
  readonly txPackets: number;
  readonly drops: number;
  /** In a segment's namespace: packets from it that were dropped because their source is not what the port may send from. */
  readonly spoofed?: number;
  /** Where frames are switched: broadcast and multicast from it that was dropped because it was too much, as a loop makes. */
  readonly flooded?: number;
}

/**
 * Something happened to a device of ours, or to a pod's end of one; look again. "learned": at that port of a bridge somebody was learned, or
 * is not known any more. "resync" means that events were lost.
 */
export type KernelEvent =
  | { readonly kind: "changed"; readonly device: string }
  | { readonly kind: "gone"; readonly device: string }
  | { readonly kind: "learned"; readonly device: string }
  | { readonly kind: "resync" };

/** What the mesh namespace has at a glance. */
export interface Overview {
  /** All devices of ours. */
  readonly devices: readonly string[];
  /** All that the filter lets in. */
  readonly sources: readonly VxlanSource[];
}

/** The kernel, seen from one forwarder: its mesh namespace, or that of a segment, and the pods' ends of its ports. */
export interface Kernel extends AsyncDisposable {
  /** All that is ours. `wanted` tells in which pods to look; a port's pod end that nobody wants is not read. */
  list(wanted: readonly KernelObject[]): Promise<KernelObject[]>;
  /** The same for the named devices of the mesh namespace alone, with all that hangs on them. Cost does not depend on how many others there are. */
  find(devices: readonly string[], wanted: readonly KernelObject[]): Promise<KernelObject[]>;
  /** A glance, which shows what nobody wants. It puts the rules of the filter and of a segment's namespace back, where somebody took them away. */
  overview(): Promise<Overview>;
  /** Does the steps in the given order and goes on after a failure. Safe to repeat. */
  apply(steps: readonly Step[]): Promise<StepFailure[]>;
  /** The MAC addresses that a bridge has learned at these of its ports by itself; a device that is gone is left out. */
  learned(ports: readonly string[]): Promise<ReadonlyMap<string, readonly string[]>>;
  /** Hears of changes until the signal ends it. */
  events(signal: AbortSignal): AsyncIterable<KernelEvent>;
  /** By device name; a device that is gone is left out. */
  counters(devices: readonly string[]): Promise<ReadonlyMap<string, Counters>>;
}
