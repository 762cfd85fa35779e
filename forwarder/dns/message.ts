import { type Answer, type DecodedPacket, decode, encode, encodingLength, type OptAnswer, type Packet, type RecordType } from "dns-packet";
import type { Question } from "./zone.js";

/** A question that makes sense, and all that its answer must know of it. */
export interface Query extends Question {
  readonly id: number;
  /** As `IN`. */
  readonly class: string;
  /** The question as it came, to be repeated in answers byte for byte. */
  readonly asked: Buffer;
  /** RD, AD and CD, for those who are asked in turn. */
  readonly flags: number;
  /** Undefined for a client that does not speak EDNS (RFC 6891), which then is not spoken to it. */
  readonly edns: { readonly version: number; readonly size: number; readonly dnssec: boolean } | undefined;
}

export const rcodes = { NOERROR: 0, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5, BADVERS: 16 } as const;
export type Rcode = keyof typeof rcodes;

/** Without EDNS. */
const smallest = 512;
/** What goes in one packet on every path (DNS flag day 2020): nothing is fragmented. */
export const largestDatagram = 1_232;
export const largestMessage = 65_535;

const headerBytes = 12;
const opcodes = { query: 0, update: 5 };
const [QR, AA, TC, RD, RA, AD, CD] = [0x8000, 0x0400, 0x0200, 0x0100, 0x0080, 0x0020, 0x0010];
const dnssecOk = 0x8000;

export interface Parsed {
  readonly query?: Query;
  /** The whole answer to what is no question but was understood. */
  readonly refusal?: Buffer;
}

/** A message of a client; neither part for one that is malformed, or an answer: who answers it begins a loop. */
export function parseMessage(bytes: Buffer): Parsed {
  if (bytes.length < headerBytes || (bytes.readUInt16BE(2) & QR) !== 0) return {};
  const opcode = (bytes.readUInt16BE(2) >> 11) & 0xf;
  if (opcode !== opcodes.query) return { refusal: headerOnly(bytes, opcode === opcodes.update ? "REFUSED" : "NOTIMP") };
  // Before the codec makes room for as many as it is told.
  const [questions = 0, answers = 0, authorities = 0, additionals = 0] = [4, 6, 8, 10].map((at) => bytes.readUInt16BE(at));
  if (questions !== 1 || answers > 0 || authorities > 1 || additionals > 4) return {};
  try {
    const query = queryOf(bytes, decode(bytes));
    return query === undefined ? {} : { query };
  } catch {
    return {};
  }
}

function queryOf(bytes: Buffer, { questions, additionals }: DecodedPacket): Query | undefined {
  const [question] = questions ?? [];
  if (question === undefined) return undefined;
  const { name, type, class: kind = "IN" } = question;
  const asked = encode({ type: "query", questions: [question] }).subarray(headerBytes);
  // A name with a dot or strange bytes in a label is not what the codec says it is.
  if (!bytes.subarray(headerBytes, headerBytes + asked.length).equals(asked)) return undefined;
  const options = (additionals ?? []).filter((one): one is OptAnswer => one.type === "OPT");
  if (options.length > 1) return undefined;
  const edns = options.map(({ ednsVersion: version, udpPayloadSize: size, flag_do: dnssec }) => ({ version, size, dnssec }))[0];
  return { id: bytes.readUInt16BE(0), name, type, class: kind, asked, flags: bytes.readUInt16BE(2) & (RD | AD | CD), edns };
}

/** The most bytes that a client takes in a packet. */
export function datagramLimit({ edns }: Query): number {
  return Math.min(largestDatagram, Math.max(smallest, edns?.size ?? smallest));
}

export interface Reply {
  readonly rcode: Rcode;
  /** Whether we are the ones who know. */
  readonly authoritative?: boolean;
  readonly answers?: readonly Answer[];
  readonly authorities?: readonly Answer[];
  readonly additionals?: readonly Answer[];
}

/**
 * An answer of at most `limit` bytes. What is larger says so (TC) and has nothing in it, so that nobody gets more than it asked for; in the
 * largest message there is what fits.
 */
export function encodeReply(query: Query, reply: Reply, limit: number): Buffer {
  const whole = packetOf(query, reply);
  if (encodingLength(whole) <= limit) return encode(whole);
  if (limit < largestMessage) return encode(packetOf(query, { ...reply, answers: [], authorities: [], additionals: [] }, TC));
  const { answers = [] } = reply;
  return encodeReply(query, { ...reply, answers: answers.slice(0, Math.floor(answers.length * 0.9)), additionals: [] }, limit);
}

function packetOf(query: Query, reply: Reply, more = 0): Packet {
  const { rcode, authoritative = false, answers = [], authorities = [], additionals = [] } = reply;
  const options: OptAnswer[] = query.edns === undefined ? [] : [opt(rcodes[rcode] >> 4, query.edns.dnssec)];
  return {
    ...{ type: "response", id: query.id, questions: [questionOf(query)] },
    flags: (query.flags & (RD | CD)) | RA | (authoritative ? AA : 0) | more | (rcodes[rcode] & 0xf),
    ...{ answers: [...answers], authorities: [...authorities], additionals: [...additionals, ...options] },
  };
}

function questionOf({ name, type, class: kind }: Query): NonNullable<Packet["questions"]>[number] {
  // The codec knows more types than its own types say, as UNKNOWN_65.
  return { name, type: type as RecordType, class: kind as "IN" };
}

/** The same question for those who are asked in turn, with our own EDNS where the client has any. */
export function encodeForward(query: Query, id: number): Buffer {
  const additionals = query.edns === undefined ? [] : [opt(0, query.edns.dnssec)];
  return encode({ type: "query", id, flags: query.flags, questions: [questionOf(query)], additionals });
}

/** Whether it answers the question that was sent with that id. */
export function answers(bytes: Buffer, query: Query, id: number): boolean {
  if (bytes.length < headerBytes + query.asked.length || bytes.readUInt16BE(0) !== id) return false;
  const [flags, questions] = [bytes.readUInt16BE(2), bytes.readUInt16BE(4)];
  const repeated = bytes.subarray(headerBytes, headerBytes + query.asked.length);
  return (flags & QR) !== 0 && ((flags >> 11) & 0xf) === opcodes.query && questions === 1 && sameQuestion(repeated, query.asked);
}

/** Whether another one may know more than who gave this answer. */
export function isRefusal(bytes: Buffer): boolean {
  const rcode = bytes.readUInt16BE(2) & 0xf;
  return rcode === rcodes.SERVFAIL || rcode === rcodes.NOTIMP || rcode === rcodes.REFUSED;
}

/** What another one answered, as the answer to the client: with its id and question, and cut where it is larger than `limit`. */
export function relay(query: Query, bytes: Buffer, limit: number): Buffer {
  const flags = bytes.readUInt16BE(2);
  if (bytes.length > limit) {
    const cut = encode(packetOf(query, { rcode: "NOERROR" }, TC));
    cut.writeUInt16BE(cut.readUInt16BE(2) | (flags & 0xf), 2);
    return cut;
  }
  const answer = Buffer.from(bytes);
  answer.writeUInt16BE(query.id, 0);
  query.asked.copy(answer, headerBytes);
  return answer;
}

function opt(extendedRcode: number, dnssec: boolean): OptAnswer {
  return {
    ...{ type: "OPT", name: ".", udpPayloadSize: largestDatagram, extendedRcode, ednsVersion: 0 },
    ...{ flags: dnssec ? dnssecOk : 0, flag_do: dnssec, options: [] },
  };
}

function headerOnly(bytes: Buffer, rcode: Rcode): Buffer {
  const header = Buffer.alloc(headerBytes);
  bytes.copy(header, 0, 0, 4);
  header.writeUInt16BE((bytes.readUInt16BE(2) & (0x7800 | RD)) | QR | rcodes[rcode], 2);
  return header;
}

/** Upper and lower case are the same in a name. Lengths of labels are too small to be letters; type and class are no text. */
function sameQuestion(a: Buffer, b: Buffer): boolean {
  const name = (bytes: Buffer) => bytes.toString("latin1", 0, bytes.length - 4).replace(/[A-Z]/g, (letter) => letter.toLowerCase());
  return name(a) === name(b) && a.subarray(-4).equals(b.subarray(-4));
}
