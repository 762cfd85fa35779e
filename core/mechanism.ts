import type { Connection, Mechanism } from "../api/gen/connection/connection.js";

export const LOCAL = "LOCAL";
export const REMOTE = "REMOTE";

/** Mechanism types. NODE_TUNNEL is ours; NSM peers skip it. */
export const KERNEL = "KERNEL";
export const NODE_TUNNEL = "NODE_TUNNEL";
export const WIREGUARD = "WIREGUARD";
export const VXLAN = "VXLAN";

/** Payloads. */
export const IP = "IP";
export const ETHERNET = "ETHERNET";

/** Where the user's wish for a mechanism travels: ConnectionContext.extra_context. */
export const PREFERRED = "isthmus.mechanism";

/** How users name mechanisms. */
export type MechanismName = "kernel" | "node-tunnel" | "wireguard" | "vxlan";

/** An interface in a network namespace. */
export interface KernelParameters {
  /** `file://PATH` or `inode://DEV/INO` */
  readonly netns: string;
  /** Empty: the forwarder takes the first free nsmN. */
  readonly name: string;
}

/** One end of a WireGuard mechanism on the underlay. */
export interface WireguardEnd {
  readonly ip: string;
  readonly port: number;
  /** Base64, 32 bytes. */
  readonly publicKey: string;
}

/** One end of a node tunnel mechanism: its WireGuard end and the VNI on which it receives. */
export interface TunnelEnd extends WireguardEnd {
  readonly vni: number;
}

/** A mechanism between two ends. The answering side fills `destination`. `mtu` 0 is unset. */
export interface Ends<E> {
  readonly source: E | undefined;
  readonly destination: E | undefined;
  readonly mtu: number;
}

export interface VxlanEnd {
  readonly ip: string;
  readonly port: number;
}

/** Plain VXLAN as NSM has it: both sides share the VNI; 0 is unset. */
export interface VxlanParameters extends Ends<VxlanEnd> {
  readonly vni: number;
}

export function kernelParameters(_m: Mechanism): KernelParameters {
  throw new Error("soon");
}

export function tunnelParameters(_m: Mechanism): Ends<TunnelEnd> {
  throw new Error("soon");
}

export function wireguardParameters(_m: Mechanism): Ends<WireguardEnd> {
  throw new Error("soon");
}

export function vxlanParameters(_m: Mechanism): VxlanParameters {
  throw new Error("soon");
}

/** The mechanism with these parameters set; others that it has stay. */
export function kernelMechanism(_p: KernelParameters, _base?: Mechanism): Mechanism {
  throw new Error("soon");
}

export function tunnelMechanism(_p: Ends<TunnelEnd>, _base?: Mechanism): Mechanism {
  throw new Error("soon");
}

export function wireguardMechanism(_p: Ends<WireguardEnd>, _base?: Mechanism): Mechanism {
  throw new Error("soon");
}

export function vxlanMechanism(_p: VxlanParameters, _base?: Mechanism): Mechanism {
  throw new Error("soon");
}

/** How users name this mechanism; its type in lower case where we do not know it. */
export function mechanismName(_m: Mechanism): string {
  throw new Error("soon");
}

/** The mechanism that the user asked for; undefined for "auto" and none. Throws "invalid" for a name that is none. */
export function preferred(_conn: Connection): MechanismName | undefined {
  throw new Error("soon");
}

/** Throws "invalid" unless the kernel takes it as an interface's name. */
export function checkInterfaceName(_name: string): void {
  throw new Error("soon");
}
