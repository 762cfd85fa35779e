/** Forwarding entries: where a VXLAN device sends frames, and to which of its ports a bridge does, by their destination's MAC address. */
import { AF_BRIDGE } from "../ffi/socket.js";
import { errnoOf } from "../ffi/system.js";
import { attribute, parseAttributes, readU32, u32 } from "./attributes.js";
import { ipBytes, ipText, macBytes, macText } from "./ip.js";
import { NLM_F_APPEND, NLM_F_CREATE, NLM_F_REPLACE, type Request } from "./message.js";
import { NDA_DST, NDA_LLADDR, NUD_PERMANENT, ndmsg, neighbourHeader, RTM_DELNEIGH, RTM_GETNEIGH, RTM_NEWNEIGH } from "./neighbour.js";
import type { NetlinkSocket } from "./socket.js";

const NDA_VNI = 7;
const NUD_REACHABLE = 0x02;
const NUD_STALE = 0x04;
const NUD_NOARP = 0x40;
const NDA_MASTER = 9;
const NTF_SELF = 0x02;
const NTF_MASTER = 0x04;
/** Whoever sends from that MAC address at a port that learns draws it there; it does not age. */
const NTF_EXT_LEARNED = 0x10;
/** Whoever sends from that MAC address at another port does not draw it there. */
const NTF_STICKY = 0x40;

/** The MAC address of entries for all that no other entry is for. A device may have several of them and sends to each. */
export const anyMac = "00:00:00:00:00:00";

/** Where a VXLAN device sends frames to one MAC address. */
export interface FdbValue {
  readonly mac: string;
  readonly address: string;
  /** Absent when it is the device's own. */
  readonly vni: number | undefined;
}

export interface FoundFdb extends FdbValue {
  readonly index: number;
}

/** A bridge's entry that leads to the port of that number. */
export interface FoundBridgeFdb {
  readonly index: number;
  readonly mac: string;
  readonly yields: boolean;
}

/** Takes the place of another entry for that MAC address; of entries for any, there may be several. */
export function addFdb(what: string, index: number, { mac, address, vni }: FdbValue & { vni: number }): Request {
  const flags = NLM_F_CREATE | (mac === anyMac ? NLM_F_APPEND : NLM_F_REPLACE);
  return { what, type: RTM_NEWNEIGH, flags, body: Buffer.concat([entry(index, mac), destination(address), u32(NDA_VNI, vni)]) };
}

export function deleteFdb(what: string, index: number, { mac, address, vni }: FdbValue): Request {
  const of = vni === undefined ? [] : [u32(NDA_VNI, vni)];
  return { what, type: RTM_DELNEIGH, body: Buffer.concat([entry(index, mac), destination(address), ...of]) };
}

/** The (first) entry for any MAC address of one VXLAN device, read without a dump. */
export function getAnyFdb(socket: NetlinkSocket, index: number): FoundFdb | undefined {
  const body = Buffer.concat([ndmsg(AF_BRIDGE, index, 0, NTF_SELF), attribute(NDA_LLADDR, macBytes(anyMac))]);
  try {
    const [answer] = socket.request({ what: "read a VXLAN device's remote", type: RTM_GETNEIGH, body });
    return answer === undefined ? undefined : decodeFdb(answer);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** The entries of one VXLAN device or bridge port, or of all with index 0. */
export function dumpFdb(socket: NetlinkSocket, index: number): (FoundFdb | FoundBridgeFdb)[] {
  return socket
    .dump({ what: "list the forwarding entries", type: RTM_GETNEIGH, body: ndmsg(AF_BRIDGE, index, 0, 0) })
    .map((body) => decodeFdb(body) ?? decodeBridgeFdb(body))
    .filter((entry) => entry !== undefined);
}

/** Leads a bridge's frames for that MAC address to the port, wherever they went before. One that yields takes no other's place at its port. */
export function addBridgeFdb(what: string, port: number, { mac, yields }: Omit<FoundBridgeFdb, "index">): Request {
  return { what, type: RTM_NEWNEIGH, flags: NLM_F_CREATE | NLM_F_REPLACE, body: bridgeEntry(port, mac, yields) };
}

export function deleteBridgeFdb(what: string, port: number, mac: string): Request {
  return { what, type: RTM_DELNEIGH, body: bridgeEntry(port, mac, false) };
}

/** What a bridge has learned at one of its ports. */
export function dumpLearned(socket: NetlinkSocket, port: number): string[] {
  return socket
    .dump({ what: "list what a port has learned", type: RTM_GETNEIGH, body: ndmsg(AF_BRIDGE, port, 0, 0) })
    .flatMap((body) => decodeLearned(body, port) ?? []);
}

/** Whether a neighbour message is about an entry of a bridge. */
export function isBridgeEntry(body: Buffer): boolean {
  return body[0] === AF_BRIDGE && parseAttributes(body.subarray(neighbourHeader)).get(NDA_MASTER) !== undefined;
}

/** The body of a bridge RTM_NEWNEIGH; undefined for one that leads to no remote: a bridge's, or one of a device's own addresses. */
export function decodeFdb(body: Buffer): FoundFdb | undefined {
  const attributes = parseAttributes(body.subarray(neighbourHeader));
  const [mac, address] = [attributes.get(NDA_LLADDR), attributes.get(NDA_DST)];
  if (address === undefined || mac?.length !== 6) return undefined;
  return { index: body.readInt32LE(4), mac: macText(mac), address: ipText(address), vni: readU32(attributes, NDA_VNI) };
}

/** The same; undefined for one that the bridge made by itself: of a port's own address, or learned. */
export function decodeBridgeFdb(body: Buffer): FoundBridgeFdb | undefined {
  const attributes = parseAttributes(body.subarray(neighbourHeader));
  const mac = attributes.get(NDA_LLADDR);
  const stays = body.readUInt16LE(8) === NUD_NOARP;
  if (!(stays || isTold(body)) || attributes.get(NDA_MASTER) === undefined || mac?.length !== 6) return undefined;
  return { index: body.readInt32LE(4), mac: macText(mac), yields: !stays };
}

/** The MAC address of an entry that the bridge has learned at that port by itself, also of one that is about to be forgotten. */
function decodeLearned(body: Buffer, port: number): string | undefined {
  const attributes = parseAttributes(body.subarray(neighbourHeader));
  const mac = attributes.get(NDA_LLADDR);
  if (body.readInt32LE(4) !== port || attributes.get(NDA_MASTER) === undefined || mac?.length !== 6 || isTold(body)) return undefined;
  return [NUD_REACHABLE, NUD_STALE].includes(body.readUInt16LE(8)) ? macText(mac) : undefined;
}

/** Whether somebody made the entry, as if it had been learned. */
function isTold(body: Buffer): boolean {
  return ((body[10] ?? 0) & NTF_EXT_LEARNED) !== 0;
}

function bridgeEntry(port: number, mac: string, yields: boolean): Buffer {
  const header = yields
    ? ndmsg(AF_BRIDGE, port, NUD_REACHABLE, NTF_MASTER | NTF_EXT_LEARNED)
    : ndmsg(AF_BRIDGE, port, NUD_NOARP, NTF_MASTER | NTF_STICKY);
  return Buffer.concat([header, attribute(NDA_LLADDR, macBytes(mac))]);
}

function entry(index: number, mac: string): Buffer {
  return Buffer.concat([ndmsg(AF_BRIDGE, index, NUD_NOARP | NUD_PERMANENT, NTF_SELF), attribute(NDA_LLADDR, macBytes(mac))]);
}

function destination(address: string): Buffer {
  return attribute(NDA_DST, ipBytes(address));
}
