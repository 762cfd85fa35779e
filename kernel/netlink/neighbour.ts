import { AF_INET, AF_INET6 } from "../ffi/socket.js";
import { attribute, parseAttributes, u32 } from "./attributes.js";
import { familyOf, ipBytes, ipText, macBytes, macText } from "./ip.js";
import { NLM_F_CREATE, NLM_F_REPLACE, type Request } from "./message.js";
import type { NetlinkSocket } from "./socket.js";

export const RTM_NEWNEIGH = 28;
export const RTM_DELNEIGH = 29;
export const RTM_GETNEIGH = 30;
export const NDA_DST = 1;
export const NDA_LLADDR = 2;
const NDA_IFINDEX = 8;
export const NUD_PERMANENT = 0x80;
export const neighbourHeader = 12;

/** A neighbour that stays until somebody takes it away. */
export interface FoundNeighbour {
  readonly index: number;
  readonly address: string;
  readonly mac: string;
}

export function addNeighbour(what: string, index: number, address: string, mac: string): Request {
  const bytes = ipBytes(address);
  const body = Buffer.concat([
    ndmsg(familyOf(bytes), index, NUD_PERMANENT, 0),
    attribute(NDA_DST, bytes),
    attribute(NDA_LLADDR, macBytes(mac)),
  ]);
  return { what, type: RTM_NEWNEIGH, flags: NLM_F_CREATE | NLM_F_REPLACE, body };
}

export function deleteNeighbour(what: string, index: number, address: string): Request {
  const bytes = ipBytes(address);
  return { what, type: RTM_DELNEIGH, body: Buffer.concat([ndmsg(familyOf(bytes), index, 0, 0), attribute(NDA_DST, bytes)]) };
}

/** Permanent neighbours of one device, or of all with index 0. */
export function dumpNeighbours(socket: NetlinkSocket, index: number): FoundNeighbour[] {
  return [AF_INET, AF_INET6].flatMap((family) => {
    const filter = index === 0 ? [] : [u32(NDA_IFINDEX, index)];
    return socket
      .dump({ what: "list the neighbours", type: RTM_GETNEIGH, body: Buffer.concat([ndmsg(family, 0, 0, 0), ...filter]) })
      .map(decodeNeighbour)
      .filter((neighbour) => neighbour !== undefined);
  });
}

/** The body of an RTM_NEWNEIGH; undefined for one that can go by itself. */
export function decodeNeighbour(body: Buffer): FoundNeighbour | undefined {
  const attributes = parseAttributes(body.subarray(neighbourHeader));
  const address = attributes.get(NDA_DST);
  const mac = attributes.get(NDA_LLADDR);
  if ((body.readUInt16LE(8) & NUD_PERMANENT) === 0 || address === undefined || mac?.length !== 6) return undefined;
  return { index: body.readInt32LE(4), address: ipText(address), mac: macText(mac) };
}

/** `struct ndmsg`. */
export function ndmsg(family: number, index: number, state: number, flags: number): Buffer {
  const bytes = Buffer.alloc(neighbourHeader);
  bytes.writeUInt8(family, 0);
  bytes.writeInt32LE(index, 4);
  bytes.writeUInt16LE(state, 8);
  bytes.writeUInt8(flags, 10);
  return bytes;
}
