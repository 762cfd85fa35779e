import { align, parseAttributes, readText } from "./attributes.js";

/** Message types that every netlink family shares, and flags of requests. */
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;
export const NLM_F_REQUEST = 0x1;
export const NLM_F_ACK = 0x4;
export const NLM_F_DUMP_INTR = 0x10;
export const NLM_F_CAPPED = 0x100;
export const NLM_F_ACK_TLVS = 0x200;
export const NLM_F_DUMP = 0x300;
export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
export const NLM_F_APPEND = 0x800;

const HEADER = 16;
const NLMSGERR_ATTR_MSG = 1;

/** What to ask: a message without its header, and what it is for, in words for the error. */
export interface Request {
  readonly what: string;
  readonly type: number;
  /** NLM_F_REQUEST and NLM_F_ACK or NLM_F_DUMP are added. */
  readonly flags?: number;
  /** The family's own header and then attributes. */
  readonly body: Uint8Array;
  /** The errno that stands for an answer without bodies: what was asked for is not there. */
  readonly absent?: number;
}

/** A message as it came. */
export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly body: Buffer;
}

/** The bytes of a request. */
export function encodeMessage(type: number, flags: number, sequence: number, body: Uint8Array): Buffer {
  const bytes = Buffer.alloc(align(HEADER + body.length));
  bytes.writeUInt32LE(HEADER + body.length, 0);
  bytes.writeUInt16LE(type, 4);
  bytes.writeUInt16LE(flags, 6);
  bytes.writeUInt32LE(sequence, 8);
  bytes.set(body, HEADER);
  return bytes;
}

/** The messages of one datagram. Bodies are views of `bytes`. */
export function decodeMessages(bytes: Buffer): Message[] {
  const messages: Message[] = [];
  for (let at = 0, length = lengthAt(bytes, at); length !== undefined; at += align(length), length = lengthAt(bytes, at)) {
    messages.push({
      type: bytes.readUInt16LE(at + 4),
      flags: bytes.readUInt16LE(at + 6),
      sequence: bytes.readUInt32LE(at + 8),
      body: bytes.subarray(at + HEADER, at + length),
    });
  }
  return messages;
}

/** Where the message after the one at `at` begins; behind the end of `bytes` where there is none. */
export function nextMessage(bytes: Buffer, at: number): number {
  const length = lengthAt(bytes, at);
  return length === undefined ? bytes.length : at + align(length);
}

/** What a message says of itself, where it lies, for readers that make no object of it. */
export const sequenceAt = (bytes: Buffer, at: number): number => (lengthAt(bytes, at) === undefined ? -1 : bytes.readUInt32LE(at + 8));
export const bodyAt = (at: number): number => at + HEADER;
/** 0 for what is no error. */
export const errnoAt = (bytes: Buffer, at: number): number =>
  bytes.readUInt16LE(at + 4) === NLMSG_ERROR ? -bytes.readInt32LE(bodyAt(at)) : 0;

export function setSequence(bytes: Buffer, at: number, sequence: number): void {
  bytes.writeUInt32LE(sequence, at + 8);
}

/** The length of the message at `at`; undefined where there is no whole one. */
function lengthAt(bytes: Buffer, at: number): number | undefined {
  if (at + HEADER > bytes.length) return undefined;
  const length = bytes.readUInt32LE(at);
  return length < HEADER || at + length > bytes.length ? undefined : length;
}

/** What an NLMSG_ERROR or NLMSG_DONE says: errno (0 is success) and the kernel's own words, where it has some. */
export function decodeError(message: Message): { errno: number; detail: string } {
  const errno = message.body.length < 4 ? 0 : -message.body.readInt32LE(0);
  if ((message.flags & NLM_F_ACK_TLVS) === 0) return { errno, detail: "" };
  const echoed = message.type === NLMSG_DONE ? 0 : (message.flags & NLM_F_CAPPED) !== 0 ? HEADER : message.body.readUInt32LE(4);
  const attributes = parseAttributes(message.body.subarray(4 + align(echoed)));
  return { errno, detail: readText(attributes, NLMSGERR_ATTR_MSG) ?? "" };
}
