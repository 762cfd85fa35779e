import os from "node:os";
import { MeshError } from "../../core/error.js";
import { AF_BRIDGE, AF_INET, AF_INET6 } from "../ffi/socket.js";
import {
  type Attributes,
  attribute,
  be16,
  nested,
  parseAttributes,
  parseNested,
  readBe16,
  readI32,
  readText,
  readU8,
  readU32,
  text,
  u8,
  u32,
} from "./attributes.js";
import { ipBytes, ipText, macBytes, macText } from "./ip.js";
import { NLM_F_CREATE, NLM_F_EXCL, type Request } from "./message.js";
import type { NetlinkSocket } from "./socket.js";

export const RTM_NEWLINK = 16;
export const RTM_DELLINK = 17;
export const RTM_GETLINK = 18;
const RTM_SETLINK = 19;

const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_LINK = 5;
const IFLA_MASTER = 10;
export const IFLA_LINKINFO = 18;
const IFLA_NET_NS_FD = 28;
const IFLA_IFALIAS = 20;
const IFLA_GROUP = 27;
const IFLA_AF_SPEC = 26;
const IFLA_EXT_MASK = 29;
const IFLA_LINK_NETNSID = 37;
export const IFLA_INFO_KIND = 1;
export const IFLA_INFO_DATA = 2;
export const IFLA_INFO_SLAVE_KIND = 4;
export const IFLA_INFO_SLAVE_DATA = 5;
const VETH_INFO_PEER = 1;
const IFLA_VXLAN_ID = 1;
const IFLA_VXLAN_LOCAL = 4;
const IFLA_VXLAN_LEARNING = 7;
const IFLA_VXLAN_PORT = 15;
const IFLA_VXLAN_LOCAL6 = 17;
const IFLA_VXLAN_UDP_CSUM = 18;
const IFLA_INET_CONF = 1;
const IPV4_DEVCONF_ROUTE_LOCALNET = 26;
const IFLA_INET6_CONF = 2;
const IPV6_DEVCONF_DISABLE_IPV6 = 26;
const RTEXT_FILTER_SKIP_STATS = 1 << 3; // those of IPv6; the device's own always come
const IFF_UP = 1;
const HEADER = 16;
// An answer takes up to 8 KiB of a receive buffer of 200 KiB.
const linksAtOnce = 16;

/** A device as the kernel shows it. */
export interface Link {
  readonly index: number;
  readonly name: string;
  readonly alias: string;
  readonly mac: string;
  readonly mtu: number;
  readonly up: boolean;
  /** `veth`, `vxlan`, `wireguard`, `tun`, or "" for one without a kind. */
  readonly kind: string;
  /** A number that only the namespace's owner sets; ours bear `ourGroup`. */
  readonly group: number;
  /** The other end's index, for a veth. */
  readonly peer: number | undefined;
  /** The other end's, or the encapsulating, namespace as this namespace numbers it; absent when it is the same one. */
  readonly peerNetnsId: number | undefined;
  /** Whether it takes packets from and to 127.0.0.0/8. */
  readonly routeLocalnet: boolean;
  /** Whether it takes part in IPv6. */
  readonly ipv6: boolean;
  /** The bridge, or the like, that it is a port of. */
  readonly master: number | undefined;
  /** What only this kind has. */
  readonly data: Attributes;
  /** What it has as a port of its master. */
  readonly port: Attributes;
}

/** What a VXLAN device has of its own. */
export interface VxlanData {
  readonly vni: number;
  readonly udpPort: number;
  readonly local: string;
  readonly learning: boolean;
}

/** The parts of a device that are set at its birth or later. */
export interface LinkSettings {
  readonly name?: string;
  readonly alias?: string;
  readonly mac?: string;
  readonly mtu?: number;
  readonly up?: boolean;
  readonly group?: number;
  readonly routeLocalnet?: boolean;
  /** 0 for none. */
  readonly master?: number;
  /** A descriptor of the namespace to be born in, or to move to. */
  readonly netns?: number;
}

/** A veth pair; `first` in the socket's namespace unless it says another. A veth cannot be born up. */
export function createVeth(first: LinkSettings & { index?: number }, second: LinkSettings): Request {
  const peer = nested(VETH_INFO_PEER, header(0, second), ...settings(second));
  return createLink(`create the veth pair ${first.name} and ${second.name}`, first, "veth", [peer]);
}

/** A VXLAN device without learning that encapsulates in the socket's namespace. */
export function createVxlan(link: LinkSettings & { index?: number }, vxlan: Omit<VxlanData, "learning">): Request {
  const local = ipBytes(vxlan.local);
  return createLink(`create the VXLAN device ${link.name}`, link, "vxlan", [
    u32(IFLA_VXLAN_ID, vxlan.vni),
    attribute(local.length === 4 ? IFLA_VXLAN_LOCAL : IFLA_VXLAN_LOCAL6, local),
    u8(IFLA_VXLAN_LEARNING, 0),
    be16(IFLA_VXLAN_PORT, vxlan.udpPort),
    // Without the outer checksum receive offload is lost and with it most of the throughput.
    u8(IFLA_VXLAN_UDP_CSUM, 1),
  ]);
}

/** Changes a device in place. */
export function changeLink(what: string, index: number, change: LinkSettings): Request {
  return { what, type: RTM_SETLINK, body: Buffer.concat([header(index, change), ...settings(change)]) };
}

export function deleteLink(what: string, index: number): Request {
  return { what, type: RTM_DELLINK, body: header(index, {}) };
}

/** Deletes all devices of a group at once, which costs about as much as one. */
export function deleteGroup(what: string, group: number): Request {
  return { what, type: RTM_DELLINK, body: Buffer.concat([header(0, {}), u32(IFLA_GROUP, group)]) };
}

/** The device, or undefined where there is none. Never a dump. */
export function getLink(socket: NetlinkSocket, by: string | number): Link | undefined {
  if (by === 0) return undefined; // what mirred shows for a target that is gone
  const [answer] = socket.request(linkRequest(by));
  return answer === undefined ? undefined : decodeLink(answer);
}

/** Those of the named devices that are there, asked for a few at a time. */
export function getLinks(socket: NetlinkSocket, names: readonly string[]): Link[] {
  const links: Link[] = [];
  for (let at = 0; at < names.length; at += linksAtOnce) {
    for (const answer of socket.batch(names.slice(at, at + linksAtOnce).map(linkRequest))) {
      if (answer instanceof MeshError) throw answer;
      links.push(...answer.map(decodeLink));
    }
  }
  return links;
}

function linkRequest(by: string | number): Request {
  const mask = u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
  const body = typeof by === "number" ? Buffer.concat([header(by, {}), mask]) : Buffer.concat([header(0, {}), text(IFLA_IFNAME, by), mask]);
  return { what: `read the device ${by}`, type: RTM_GETLINK, body, absent: os.constants.errno.ENODEV };
}

/** Every device of the socket's namespace. */
export function dumpLinks(socket: NetlinkSocket): Link[] {
  const body = Buffer.concat([header(0, {}), u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS)]);
  return socket.dump({ what: "list the devices", type: RTM_GETLINK, body }).map(decodeLink);
}

/** The body of an RTM_NEWLINK or RTM_DELLINK. */
export function decodeLink(body: Buffer): Link {
  const attributes = parseAttributes(body.subarray(HEADER));
  const info = parseNested(attributes, IFLA_LINKINFO);
  const mac = attributes.get(IFLA_ADDRESS);
  return {
    index: body.readInt32LE(4),
    name: readText(attributes, IFLA_IFNAME) ?? "",
    alias: readText(attributes, IFLA_IFALIAS) ?? "",
    mac: mac?.length === 6 ? macText(mac) : "",
    mtu: readU32(attributes, IFLA_MTU) ?? 0,
    up: (body.readUInt32LE(8) & IFF_UP) !== 0,
    kind: readText(info, IFLA_INFO_KIND) ?? "",
    group: readU32(attributes, IFLA_GROUP) ?? 0,
    peer: readU32(attributes, IFLA_LINK),
    peerNetnsId: readI32(attributes, IFLA_LINK_NETNSID),
    routeLocalnet: inet(attributes, IPV4_DEVCONF_ROUTE_LOCALNET) !== 0,
    ipv6: inet6(attributes, IPV6_DEVCONF_DISABLE_IPV6) === 0,
    master: readU32(attributes, IFLA_MASTER),
    data: parseNested(info, IFLA_INFO_DATA),
    port: parseNested(info, IFLA_INFO_SLAVE_DATA),
  };
}

/** The family of a link message: AF_BRIDGE ones tell of bridge ports, not of devices. */
export function isBridgeMessage(body: Buffer): boolean {
  return body.readUInt8(0) === AF_BRIDGE;
}

export function vxlanData(link: Link): VxlanData {
  const local = link.data.get(IFLA_VXLAN_LOCAL6) ?? link.data.get(IFLA_VXLAN_LOCAL);
  return {
    vni: readU32(link.data, IFLA_VXLAN_ID) ?? 0,
    udpPort: readBe16(link.data, IFLA_VXLAN_PORT) ?? 0,
    local: local === undefined ? "" : ipText(local),
    learning: readU8(link.data, IFLA_VXLAN_LEARNING) !== 0,
  };
}

/** A setting of net.ipv4.conf.DEVICE by its number; 0 where the device has no IPv4. */
function inet(attributes: Attributes, setting: number): number {
  const values = parseNested(parseNested(attributes, IFLA_AF_SPEC), AF_INET).get(IFLA_INET_CONF);
  return values === undefined || values.length < setting * 4 ? 0 : values.readUInt32LE((setting - 1) * 4);
}

/** A setting of net.ipv6.conf.DEVICE by its number, from 0; 0 where it is not told. */
function inet6(attributes: Attributes, setting: number): number {
  const values = parseNested(parseNested(attributes, IFLA_AF_SPEC), AF_INET6).get(IFLA_INET6_CONF);
  return values === undefined || values.length < (setting + 1) * 4 ? 0 : values.readUInt32LE(setting * 4);
}

/** A device of any kind. */
export function createLink(what: string, link: LinkSettings & { index?: number }, kind: string, data: readonly Uint8Array[]): Request {
  const info = nested(IFLA_LINKINFO, text(IFLA_INFO_KIND, kind), nested(IFLA_INFO_DATA, ...data));
  const body = Buffer.concat([header(link.index ?? 0, link), ...settings(link), info]);
  return { what, type: RTM_NEWLINK, flags: NLM_F_CREATE | NLM_F_EXCL, body };
}

/** A message about a device that has these attributes. */
export function linkBody(index: number, ...attributes: readonly Uint8Array[]): Buffer {
  return Buffer.concat([header(index, {}), ...attributes]);
}

/** `struct ifinfomsg`. */
function header(index: number, change: LinkSettings): Buffer {
  const bytes = Buffer.alloc(HEADER);
  bytes.writeInt32LE(index, 4);
  if (change.up !== undefined) {
    bytes.writeUInt32LE(change.up ? IFF_UP : 0, 8);
    bytes.writeUInt32LE(IFF_UP, 12);
  }
  return bytes;
}

function settings(link: LinkSettings): Buffer[] {
  const attributes: Buffer[] = [];
  if (link.name !== undefined) attributes.push(text(IFLA_IFNAME, link.name));
  if (link.alias !== undefined) attributes.push(attribute(IFLA_IFALIAS, Buffer.from(link.alias)));
  if (link.mac !== undefined) attributes.push(attribute(IFLA_ADDRESS, macBytes(link.mac)));
  if (link.mtu !== undefined) attributes.push(u32(IFLA_MTU, link.mtu));
  if (link.group !== undefined) attributes.push(u32(IFLA_GROUP, link.group));
  if (link.routeLocalnet !== undefined) {
    const setting = u32(IPV4_DEVCONF_ROUTE_LOCALNET, Number(link.routeLocalnet));
    attributes.push(nested(IFLA_AF_SPEC, nested(AF_INET, nested(IFLA_INET_CONF, setting))));
  }
  if (link.master !== undefined) attributes.push(u32(IFLA_MASTER, link.master));
  if (link.netns !== undefined) attributes.push(u32(IFLA_NET_NS_FD, link.netns));
  return attributes;
}
