import { isIPv4 } from "node:net";
import ipaddr from "ipaddr.js";
import { MeshError } from "../../core/error.js";
import { interfaceIndex } from "../../kernel/ffi/file.js";
import { AF_INET, AF_INET6 } from "../../kernel/ffi/socket.js";
import { attribute, nested, text, u32 } from "../../kernel/netlink/attributes.js";
import { NLM_F_CREATE, NLM_F_EXCL, type Request } from "../../kernel/netlink/message.js";

// What a lab needs of rtnetlink beyond kernel/: bridges and plain links. Every function speaks of the namespace of the moment.

const RTM_NEWLINK = 16;
const RTM_NEWADDR = 20;
const RTM_NEWROUTE = 24;
const IFLA_IFNAME = 3;
const IFLA_MASTER = 10;
const IFLA_LINKINFO = 18;
const IFLA_NET_NS_FD = 28;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const VETH_INFO_PEER = 1;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_FLAGS = 8;
const IFA_F_NODAD = 2;
const RTA_GATEWAY = 5;
const IFF_UP = 1;
const RT_TABLE_MAIN = 254;
const RTPROT_STATIC = 4;
const RTN_UNICAST = 1;
const create = NLM_F_CREATE | NLM_F_EXCL;

/** A new bridge, down. */
export function addBridge(name: string): Request {
  const info = nested(IFLA_LINKINFO, text(IFLA_INFO_KIND, "bridge"));
  return {
    what: `make bridge ${name}`,
    type: RTM_NEWLINK,
    flags: create,
    body: Buffer.concat([linkHeader(), text(IFLA_IFNAME, name), info]),
  };
}

/** A new veth pair, both down: `name` here, `peer` in the namespace of the open file `netns`. */
export function addVeth(name: string, peer: string, netns: number): Request {
  const other = attribute(VETH_INFO_PEER, Buffer.concat([linkHeader(), text(IFLA_IFNAME, peer), u32(IFLA_NET_NS_FD, netns)]));
  const info = nested(IFLA_LINKINFO, text(IFLA_INFO_KIND, "veth"), nested(IFLA_INFO_DATA, other));
  return {
    what: `make link ${name}`,
    type: RTM_NEWLINK,
    flags: create,
    body: Buffer.concat([linkHeader(), text(IFLA_IFNAME, name), info]),
  };
}

/** Makes a link a port of a bridge. */
export function setMaster(name: string, bridge: string): Request {
  const body = Buffer.concat([linkHeader(), text(IFLA_IFNAME, name), u32(IFLA_MASTER, indexOf(bridge))]);
  return { what: `make ${name} a port of ${bridge}`, type: RTM_NEWLINK, body };
}

export function setUp(name: string): Request {
  return { what: `set ${name} up`, type: RTM_NEWLINK, body: Buffer.concat([linkHeader(IFF_UP), text(IFLA_IFNAME, name)]) };
}

/** `address` without length; no duplicate address detection, which would cost a second. */
export function addAddress(device: string, address: string, length: number): Request {
  const bytes = addressBytes(address);
  const header = Buffer.alloc(8);
  header.set([family(address), length]);
  header.writeUInt32LE(indexOf(device), 4);
  const local = isIPv4(address) ? [attribute(IFA_LOCAL, bytes)] : [u32(IFA_FLAGS, IFA_F_NODAD)];
  const body = Buffer.concat([header, attribute(IFA_ADDRESS, bytes), ...local]);
  return { what: `give ${device} the address ${address}/${length}`, type: RTM_NEWADDR, flags: create, body };
}

export function addDefaultRoute(gateway: string): Request {
  const header = Buffer.alloc(12);
  header.set([family(gateway), 0, 0, 0, RT_TABLE_MAIN, RTPROT_STATIC, 0, RTN_UNICAST]);
  const body = Buffer.concat([header, attribute(RTA_GATEWAY, addressBytes(gateway))]);
  return { what: `make ${gateway} the gateway`, type: RTM_NEWROUTE, flags: create, body };
}

function linkHeader(up = 0): Buffer {
  const header = Buffer.alloc(16);
  header.writeUInt32LE(up, 8);
  header.writeUInt32LE(up, 12);
  return header;
}

function indexOf(device: string): number {
  const index = interfaceIndex(device);
  if (index === 0) throw new MeshError("kernel", `there is no link ${device} where the lab made it`);
  return index;
}

function family(address: string): number {
  return isIPv4(address) ? AF_INET : AF_INET6;
}

function addressBytes(address: string): Uint8Array {
  return Uint8Array.from(ipaddr.parse(address).toByteArray());
}
