import { AF_BRIDGE, AF_INET, AF_INET6 } from "../ffi/socket.js";
import { errnoOf } from "../ffi/system.js";
import { attribute, parseAttributes, readU32, u32 } from "./attributes.js";
import { familyOf, ipBytes, ipText, macBytes, macText } from "./ip.js";
import { NLM_F_APPEND, NLM_F_CREATE, NLM_F_REPLACE, type Request } from "./message.js";
import type { NetlinkSocket } from "./socket.js";

export const RTM_NEWNEIGH = 28;
export const RTM_DELNEIGH = 29;
const RTM_GETNEIGH = 30;
const NDA_DST = 1;
const NDA_LLADDR = 2;
const NDA_VNI = 7;
const NDA_IFINDEX = 8;
const NUD_PERMANENT = 0x80;
const NUD_NOARP = 0x40;
const NTF_SELF = 0x02;
const HEADER = 12;
const anyMac = Buffer.alloc(6);

/** A neighbour that stays until somebody takes it away. */
export interface FoundNeighbour {
  readonly index: number;
  readonly address: string;
  readonly mac: string;
}

/** Where a VXLAN device sends what it knows no better place for. `vni` is absent when it is the device's own. */
export interface FoundRemote {
  readonly index: number;
  readonly address: string;
  readonly vni: number | undefined;
}

export function addNeighbour(what: string, index: number, address: string, mac: string): Request {
  const bytes = ipBytes(address);
  const body = Buffer.concat([
    header(familyOf(bytes), index, NUD_PERMANENT, 0),
    attribute(NDA_DST, bytes),
    attribute(NDA_LLADDR, macBytes(mac)),
  ]);
  return { what, type: RTM_NEWNEIGH, flags: NLM_F_CREATE | NLM_F_REPLACE, body };
}

export function deleteNeighbour(what: string, index: number, address: string): Request {
  const bytes = ipBytes(address);
  return { what, type: RTM_DELNEIGH, body: Buffer.concat([header(familyOf(bytes), index, 0, 0), attribute(NDA_DST, bytes)]) };
}

/** Permanent neighbours of one device, or of all with index 0. */
export function dumpNeighbours(socket: NetlinkSocket, index: number): FoundNeighbour[] {
  return [AF_INET, AF_INET6].flatMap((family) => {
    const filter = index === 0 ? [] : [u32(NDA_IFINDEX, index)];
    return socket
      .dump({ what: "list the neighbours", type: RTM_GETNEIGH, body: Buffer.concat([header(family, 0, 0, 0), ...filter]) })
      .map(decodeNeighbour)
      .filter((neighbour) => neighbour !== undefined);
  });
}

/** The body of an RTM_NEWNEIGH; undefined for one that can go by itself. */
export function decodeNeighbour(body: Buffer): FoundNeighbour | undefined {
  const attributes = parseAttributes(body.subarray(HEADER));
  const address = attributes.get(NDA_DST);
  const mac = attributes.get(NDA_LLADDR);
  if ((body.readUInt16LE(8) & NUD_PERMANENT) === 0 || address === undefined || mac?.length !== 6) return undefined;
  return { index: body.readInt32LE(4), address: ipText(address), mac: macText(mac) };
}

/** Sends everything there too. There already: nothing changes. */
export function addRemote(what: string, index: number, remote: { address: string; vni: number }): Request {
  const body = Buffer.concat([remoteHeader(index), attribute(NDA_DST, ipBytes(remote.address)), u32(NDA_VNI, remote.vni)]);
  return { what, type: RTM_NEWNEIGH, flags: NLM_F_CREATE | NLM_F_APPEND, body };
}

export function deleteRemote(what: string, index: number, remote: { address: string; vni: number | undefined }): Request {
  const vni = remote.vni === undefined ? [] : [u32(NDA_VNI, remote.vni)];
  const body = Buffer.concat([remoteHeader(index), attribute(NDA_DST, ipBytes(remote.address)), ...vni]);
  return { what, type: RTM_DELNEIGH, body };
}

/** The (first) remote of one VXLAN device, read without a dump. */
export function getRemote(socket: NetlinkSocket, index: number): FoundRemote | undefined {
  const body = Buffer.concat([header(AF_BRIDGE, index, 0, NTF_SELF), attribute(NDA_LLADDR, anyMac)]);
  try {
    const [answer] = socket.request({ what: "read a VXLAN device's remote", type: RTM_GETNEIGH, body });
    return answer === undefined ? undefined : decodeRemote(answer);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** The remotes of one VXLAN device, or of all with index 0. */
export function dumpRemotes(socket: NetlinkSocket, index: number): FoundRemote[] {
  return socket
    .dump({ what: "list the VXLAN remotes", type: RTM_GETNEIGH, body: header(AF_BRIDGE, index, 0, 0) })
    .map(decodeRemote)
    .filter((remote) => remote !== undefined);
}

/** The body of a bridge RTM_NEWNEIGH; undefined for an entry that is for one MAC address, or of no VXLAN device. */
export function decodeRemote(body: Buffer): FoundRemote | undefined {
  const attributes = parseAttributes(body.subarray(HEADER));
  const address = attributes.get(NDA_DST);
  if (address === undefined || attributes.get(NDA_LLADDR)?.equals(anyMac) !== true) return undefined;
  return { index: body.readInt32LE(4), address: ipText(address), vni: readU32(attributes, NDA_VNI) };
}

function remoteHeader(index: number): Buffer {
  return Buffer.concat([header(AF_BRIDGE, index, NUD_NOARP | NUD_PERMANENT, NTF_SELF), attribute(NDA_LLADDR, anyMac)]);
}

/** `struct ndmsg`. */
function header(family: number, index: number, state: number, flags: number): Buffer {
  const bytes = Buffer.alloc(HEADER);
  bytes.writeUInt8(family, 0);
  bytes.writeInt32LE(index, 4);
  bytes.writeUInt16LE(state, 8);
  bytes.writeUInt8(flags, 10);
  return bytes;
}
