import os from "node:os";
import { AF_INET, AF_INET6 } from "../ffi/socket.js";
import { attribute, parseAttributes, readU8, readU32, u8, u32 } from "./attributes.js";
import { networkOf, parsePrefix, prefixText } from "./ip.js";
import { NLM_F_CREATE, NLM_F_EXCL, type Request } from "./message.js";
import { ourProtocol } from "./route.js";
import type { NetlinkSocket } from "./socket.js";

export const RTM_NEWRULE = 32;
export const RTM_DELRULE = 33;
const RTM_GETRULE = 34;
const FRA_SRC = 2;
const FRA_PRIORITY = 6;
const FRA_TABLE = 15;
const FRA_PROTOCOL = 21;
const FRA_IP_PROTO = 22;
const FRA_SPORT_RANGE = 23;
const FRA_DPORT_RANGE = 24;
const FR_ACT_TO_TBL = 1;
const HEADER = 12;

/** Ports from the first to the last. */
export interface Ports {
  readonly first: number;
  readonly last: number;
}

/** Packets that match all that is said look into a table of their own. */
export interface RuleValue {
  readonly family: 4 | 6;
  readonly table: number;
  /** Smaller is looked at earlier; 32766 is the main table. */
  readonly priority: number;
  readonly from?: string | undefined;
  /** A number of IANA's, as 6 for TCP. */
  readonly protocol?: number | undefined;
  readonly sourcePorts?: Ports | undefined;
  readonly destinationPorts?: Ports | undefined;
}

/** The same rule a second time is "EEXIST". */
export function addRule(what: string, rule: RuleValue): Request {
  return { what, type: RTM_NEWRULE, flags: NLM_F_CREATE | NLM_F_EXCL, body: ruleBody(rule, FR_ACT_TO_TBL) };
}

/** Not there: an answer without bodies. */
export function deleteRule(what: string, rule: RuleValue): Request {
  return { what, type: RTM_DELRULE, body: ruleBody(rule, 0), absent: os.constants.errno.ENOENT };
}

/** Rules of ours, of both families. */
export function dumpRules(socket: NetlinkSocket): RuleValue[] {
  return [AF_INET, AF_INET6].flatMap((family) =>
    socket
      .dump({ what: "list the rules", type: RTM_GETRULE, body: header(family, 0, 0) })
      .map(decodeRule)
      .filter((rule) => rule !== undefined),
  );
}

/** The body of an RTM_NEWRULE; undefined for one that is not ours. */
export function decodeRule(body: Buffer): RuleValue | undefined {
  const attributes = parseAttributes(body.subarray(HEADER));
  if (readU8(attributes, FRA_PROTOCOL) !== ourProtocol || body.readUInt8(7) !== FR_ACT_TO_TBL) return undefined;
  const from = attributes.get(FRA_SRC);
  const protocol = readU8(attributes, FRA_IP_PROTO);
  const [source, destination] = [FRA_SPORT_RANGE, FRA_DPORT_RANGE].map((type) => readPorts(attributes.get(type)));
  return {
    family: body.readUInt8(0) === AF_INET6 ? 6 : 4,
    table: readU32(attributes, FRA_TABLE) ?? body.readUInt8(4),
    priority: readU32(attributes, FRA_PRIORITY) ?? 0,
    ...(from === undefined ? {} : { from: prefixText(from, body.readUInt8(2)) }),
    ...(protocol === undefined ? {} : { protocol }),
    ...(source === undefined ? {} : { sourcePorts: source }),
    ...(destination === undefined ? {} : { destinationPorts: destination }),
  };
}

function ruleBody(rule: RuleValue, action: number): Buffer {
  const from = rule.from === undefined ? undefined : networkOf(parsePrefix(rule.from));
  const attributes = [u32(FRA_TABLE, rule.table), u32(FRA_PRIORITY, rule.priority), u8(FRA_PROTOCOL, ourProtocol)];
  if (from !== undefined) attributes.push(attribute(FRA_SRC, from.bytes));
  if (rule.protocol !== undefined) attributes.push(u8(FRA_IP_PROTO, rule.protocol));
  if (rule.sourcePorts !== undefined) attributes.push(attribute(FRA_SPORT_RANGE, portBytes(rule.sourcePorts)));
  if (rule.destinationPorts !== undefined) attributes.push(attribute(FRA_DPORT_RANGE, portBytes(rule.destinationPorts)));
  return Buffer.concat([header(rule.family === 6 ? AF_INET6 : AF_INET, from?.length ?? 0, action), ...attributes]);
}

/** `struct fib_rule_port_range`, in the machine's byte order. */
function portBytes({ first, last }: Ports): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt16LE(first, 0);
  bytes.writeUInt16LE(last, 2);
  return bytes;
}

function readPorts(bytes: Buffer | undefined): Ports | undefined {
  return bytes?.length === 4 ? { first: bytes.readUInt16LE(0), last: bytes.readUInt16LE(2) } : undefined;
}

/** `struct fib_rule_hdr`. */
function header(family: number, sourceBits: number, action: number): Buffer {
  const bytes = Buffer.alloc(HEADER);
  bytes.writeUInt8(family, 0);
  bytes.writeUInt8(sourceBits, 2);
  bytes.writeUInt8(action, 7);
  return bytes;
}
