import { AF_INET, AF_INET6 } from "../ffi/socket.js";
import { attribute, parseAttributes, readU32, u32 } from "./attributes.js";
import { parsePrefix, prefixText } from "./ip.js";
import { NLM_F_CREATE, NLM_F_REPLACE, type Request } from "./message.js";
import type { NetlinkSocket } from "./socket.js";

export const RTM_NEWADDR = 20;
export const RTM_DELADDR = 21;
const RTM_GETADDR = 22;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_FLAGS = 8;
const IFA_F_NODAD = 0x02;
const IFA_F_PERMANENT = 0x80;
const SCOPE_LINK = 253;
const HEADER = 8;

/** An address that somebody put on a device. */
export interface FoundAddress {
  readonly index: number;
  /** `172.16.1.2/32`. */
  readonly address: string;
}

/** Ready for use at once: duplicates are not looked for. There already: nothing changes. */
export function addAddress(what: string, index: number, address: string): Request {
  const { family, bytes, length } = parsePrefix(address);
  const flags = IFA_F_PERMANENT | (family === AF_INET6 ? IFA_F_NODAD : 0);
  const body = Buffer.concat([
    header(family, length, index, flags & 0xff),
    attribute(IFA_LOCAL, bytes),
    attribute(IFA_ADDRESS, bytes),
    u32(IFA_FLAGS, flags),
  ]);
  return { what, type: RTM_NEWADDR, flags: NLM_F_CREATE | NLM_F_REPLACE, body };
}

export function deleteAddress(what: string, index: number, address: string): Request {
  const { family, bytes, length } = parsePrefix(address);
  const body = Buffer.concat([header(family, length, index, 0), attribute(IFA_LOCAL, bytes), attribute(IFA_ADDRESS, bytes)]);
  return { what, type: RTM_DELADDR, body };
}

/**
 * Addresses of one device, or of all with index 0. Not those that the kernel or a router made: ones that expire and, unless told, IPv6
 * link-local ones.
 */
export function dumpAddresses(socket: NetlinkSocket, index: number, linkLocal = false): FoundAddress[] {
  return [AF_INET, AF_INET6].flatMap((family) =>
    socket
      .dump({ what: "list the addresses", type: RTM_GETADDR, body: header(family, 0, index, 0) })
      .map((body) => decodeAddress(body, linkLocal))
      .filter((address) => address !== undefined),
  );
}

/** The body of an RTM_NEWADDR; undefined for one that nobody put there. */
export function decodeAddress(body: Buffer, linkLocal = false): FoundAddress | undefined {
  const attributes = parseAttributes(body.subarray(HEADER));
  const bytes = attributes.get(IFA_LOCAL) ?? attributes.get(IFA_ADDRESS);
  const flags = readU32(attributes, IFA_FLAGS) ?? body.readUInt8(2);
  if (bytes === undefined || (flags & IFA_F_PERMANENT) === 0) return undefined;
  if (!linkLocal && body.readUInt8(0) === AF_INET6 && body.readUInt8(3) === SCOPE_LINK) return undefined;
  return { index: body.readUInt32LE(4), address: prefixText(bytes, body.readUInt8(1)) };
}

/** `struct ifaddrmsg`. */
function header(family: number, length: number, index: number, flags: number): Buffer {
  const bytes = Buffer.alloc(HEADER);
  bytes.writeUInt8(family, 0);
  bytes.writeUInt8(length, 1);
  bytes.writeUInt8(flags, 2);
  bytes.writeUInt32LE(index, 4);
  return bytes;
}
