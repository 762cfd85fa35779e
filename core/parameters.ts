import type { Mechanism } from "../api/gen/connection/connection.js";
import { MeshError } from "./error.js";
import { checkInterfaceName } from "./interfaceName.js";
import { parseAddress } from "./ipam/address.js";
import { KERNEL, LOCAL, NODE_TUNNEL, REMOTE, VXLAN, WIREGUARD } from "./mechanismTypes.js";

/** An interface in a network namespace. */
export interface KernelParameters {
  /** `file://PATH` or `inode://DEV/INO` */
  readonly netns: string;
  /** Empty: the forwarder takes the first free nsmN. */
  readonly name: string;
  /** Whether it is to take packets from and to 127.0.0.0/8. */
  readonly routeLocalnet: boolean;
}

/** One end of a VXLAN mechanism on the underlay. */
export interface VxlanEnd {
  readonly ip: string;
  readonly port: number;
}

/** One end of a WireGuard mechanism on the underlay. */
export interface WireguardEnd extends VxlanEnd {
  /** Base64, 32 bytes. */
  readonly publicKey: string;
}

/** One end of a node tunnel mechanism. */
export interface TunnelEnd {
  /** Of WireGuard; base64, 32 bytes. */
  readonly publicKey: string;
  /** On which it receives. */
  readonly vni: number;
  /** Where the other side reaches it; without it the other side does not, and this one begins. */
  readonly at?: VxlanEnd | undefined;
}

/** A mechanism between two ends. The answering side fills `destination`. `mtu` 0 is unset. */
export interface Ends<E> {
  readonly source: E | undefined;
  readonly destination: E | undefined;
  readonly mtu: number;
}

/** Plain VXLAN as NSM has it: both sides share the VNI; 0 is unset. */
export interface VxlanParameters extends Ends<VxlanEnd> {
  readonly vni: number;
}

type Side = "src" | "dst";

const biggestVni = 2 ** 24 - 1;

/** Throws "invalid" without a namespace or with a name that the kernel would not take, "unsupported" for NAT rules (decision 12). */
export function kernelParameters(m: Mechanism): KernelParameters {
  const netns = text(m, "inodeURL");
  if (!/^(file:\/\/\/.|inode:\/\/\d+\/\d+$)/.test(netns))
    throw bad(m, "inodeURL", "a network namespace as file:///run/netns/NAME or inode://DEV/INO");
  const name = text(m, "name");
  if (name !== "") checkInterfaceName(name);
  if (text(m, "IPTables4NatTemplate") !== "")
    throw new MeshError(
      "unsupported",
      "IPTables4NatTemplate is not done here: set the NAT rules inside the pod, or leave the parameter out",
    );
  return { netns, name, routeLocalnet: /^(1|t|true)$/i.test(text(m, "routeLocalNet")) };
}

/** Throws "invalid" for an end that is there but not whole. */
export function tunnelParameters(m: Mechanism): Ends<TunnelEnd> {
  const end = (side: Side): TunnelEnd => ({
    publicKey: publicKey(m, side),
    vni: number(m, `${side}_vni`, 1, biggestVni),
    ...(text(m, `${side}_ip`) === "" ? {} : { at: vxlanEnd(m, side) }),
  });
  return ends(m, end, "public_key");
}

/** Throws "invalid" for an end that is there but not whole. */
export function wireguardParameters(m: Mechanism): Ends<WireguardEnd> {
  return ends(m, (side) => ({ publicKey: publicKey(m, side), ...vxlanEnd(m, side) }), "ip");
}

/** Throws "invalid" for an end that is there but not whole. */
export function vxlanParameters(m: Mechanism): VxlanParameters {
  return { ...ends(m, (side) => vxlanEnd(m, side), "ip"), vni: text(m, "vni") === "" ? 0 : number(m, "vni", 1, biggestVni) };
}

/** The mechanism with these parameters set; others that it has stay. */
export function kernelMechanism({ netns, name }: Pick<KernelParameters, "netns" | "name">, base?: Mechanism): Mechanism {
  return mechanism(LOCAL, KERNEL, { inodeURL: netns, name }, base);
}

/** The mechanism with these parameters set; others that it has stay. */
export function tunnelMechanism({ source, destination, mtu }: Ends<TunnelEnd>, base?: Mechanism): Mechanism {
  const side = (name: Side, end: TunnelEnd | undefined) =>
    end === undefined ? {} : { ...placeKeys(name, end.at), [`${name}_public_key`]: end.publicKey, [`${name}_vni`]: String(end.vni) };
  return mechanism(REMOTE, NODE_TUNNEL, { ...side("src", source), ...side("dst", destination), ...mtuKey(mtu) }, base);
}

/** The mechanism with these parameters set; others that it has stay. */
export function wireguardMechanism({ source, destination, mtu }: Ends<WireguardEnd>, base?: Mechanism): Mechanism {
  return mechanism(REMOTE, WIREGUARD, { ...wireguardKeys("src", source), ...wireguardKeys("dst", destination), ...mtuKey(mtu) }, base);
}

/** The mechanism with these parameters set; others that it has stay. */
export function vxlanMechanism({ source, destination, vni, mtu }: VxlanParameters, base?: Mechanism): Mechanism {
  const vniKey = vni === 0 ? {} : { vni: String(vni) };
  return mechanism(REMOTE, VXLAN, { ...vxlanKeys("src", source), ...vxlanKeys("dst", destination), ...vniKey, ...mtuKey(mtu) }, base);
}

function mechanism(cls: string, type: string, parameters: Record<string, string>, base: Mechanism | undefined): Mechanism {
  return { ...base, cls, type, parameters: { ...base?.parameters, ...parameters } };
}

function mtuKey(mtu: number): Record<string, string> {
  return mtu === 0 ? {} : { MTU: String(mtu) };
}

function vxlanKeys(side: Side, end: VxlanEnd | undefined): Record<string, string> {
  return end === undefined ? {} : { [`${side}_ip`]: end.ip, [`${side}_port`]: String(end.port) };
}

/** One without a place says so: the mechanism may have named one before. */
function placeKeys(side: Side, at: VxlanEnd | undefined): Record<string, string> {
  return at === undefined ? { [`${side}_ip`]: "", [`${side}_port`]: "" } : vxlanKeys(side, at);
}

function wireguardKeys(side: Side, end: WireguardEnd | undefined): Record<string, string> {
  return end === undefined ? {} : { ...vxlanKeys(side, end), [`${side}_public_key`]: end.publicKey };
}

/** An end is there where it has `mark`. */
function ends<E>(m: Mechanism, end: (side: Side) => E, mark: "ip" | "public_key"): Ends<E> {
  const there = (side: Side) => (text(m, `${side}_${mark}`) === "" ? undefined : end(side));
  // NSM's largest; below the smallest that IPv4 allows nothing works.
  const mtu = text(m, "MTU") === "" ? 0 : number(m, "MTU", 68, 65_535);
  return { source: there("src"), destination: there("dst"), mtu };
}

function vxlanEnd(m: Mechanism, side: Side): VxlanEnd {
  const ip = text(m, `${side}_ip`);
  try {
    parseAddress(ip);
  } catch {
    throw bad(m, `${side}_ip`, "an IP address");
  }
  if (ip.includes("/")) throw bad(m, `${side}_ip`, "an IP address without a prefix length");
  return { ip, port: number(m, `${side}_port`, 1, 65_535) };
}

function publicKey(m: Mechanism, side: Side): string {
  const key = text(m, `${side}_public_key`);
  if (!/^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/.test(key)) throw bad(m, `${side}_public_key`, "32 bytes in base64");
  return key;
}

function number(m: Mechanism, key: string, least: number, most: number): number {
  const written = text(m, key);
  const value = /^\d{1,10}$/.test(written) ? Number(written) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw bad(m, key, `a number from ${least} to ${most}`);
}

function text(m: Mechanism, key: string): string {
  return Object.hasOwn(m.parameters, key) ? (m.parameters[key] ?? "") : "";
}

function bad(m: Mechanism, key: string, allowed: string): MeshError {
  return new MeshError("invalid", `parameter ${key} of mechanism ${m.type} must be ${allowed}, got ${JSON.stringify(text(m, key))}`);
}
