import { errnoOf } from "../ffi/system.js";
import { attribute, attributeList, nested, parseAttributes, parseNested, readText, text, u32 } from "./attributes.js";
import { NLM_F_CREATE, NLM_F_REPLACE, type Request } from "./message.js";
import type { NetlinkSocket } from "./socket.js";

const RTM_NEWQDISC = 36;
export const RTM_DELQDISC = 37;
const RTM_NEWTFILTER = 44;
export const RTM_DELTFILTER = 45;
const RTM_GETTFILTER = 46;
const TCA_KIND = 1;
const TCA_OPTIONS = 2;
const TCA_BPF_FD = 6;
const TCA_BPF_NAME = 7;
const TCA_BPF_FLAGS = 8;
const TCA_BPF_FLAG_ACT_DIRECT = 1;
const TCA_U32_SEL = 5;
const TCA_U32_ACT = 7;
const TCA_ACT_KIND = 1;
const TCA_ACT_OPTIONS = 2;
const TCA_ACT_COOKIE = 6;
const TCA_MIRRED_PARMS = 2;
const TCA_EGRESS_REDIR = 1;
const TC_ACT_STOLEN = 4;
const TC_U32_TERMINAL = 1;
const clsactParent = 0xfffffff1;
const clsactHandle = 0xffff0000;
const ingressParent = 0xfffffff2;
const ETH_P_ALL = 0x0003;
const priority = 1;
const HEADER = 20;

/** What a filter on a device's ingress does, as the kernel shows it. */
export type FoundFilter =
  | { readonly kind: "bpf"; readonly name: string }
  | { readonly kind: "u32"; readonly target: number; readonly cookie: string }
  | { readonly kind: "other" };

/** Gives a device the place where ingress filters hang. There already: nothing changes. */
export function addClsact(what: string, index: number): Request {
  const body = Buffer.concat([header(index, clsactHandle, clsactParent, 0), text(TCA_KIND, "clsact")]);
  return { what, type: RTM_NEWQDISC, flags: NLM_F_CREATE, body };
}

/** A loaded program as the one filter of a device's ingress; takes the place of the one before without a gap. */
export function setBpfFilter(what: string, index: number, program: { fd: number; name: string }): Request {
  const options = nested(
    TCA_OPTIONS,
    u32(TCA_BPF_FD, program.fd),
    text(TCA_BPF_NAME, program.name),
    u32(TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT),
  );
  return filterChange(what, index, 1, "bpf", options);
}

/** Everything that comes in on a device leaves through another one, by u32 and mirred. `cookie`: at most 16 bytes to recognise it by. */
export function setMirredFilter(what: string, index: number, target: number, cookie: string): Request {
  const action = nested(
    1,
    text(TCA_ACT_KIND, "mirred"),
    nested(TCA_ACT_OPTIONS, attribute(TCA_MIRRED_PARMS, mirred(target))),
    attribute(TCA_ACT_COOKIE, Buffer.from(cookie)),
  );
  const options = nested(TCA_OPTIONS, attribute(TCA_U32_SEL, matchAll()), nested(TCA_U32_ACT, action));
  return filterChange(what, index, u32Handle, "u32", options);
}

/** Takes our filter away, whatever its kind. */
export function deleteFilter(what: string, index: number): Request {
  return { what, type: RTM_DELTFILTER, body: header(index, 0, ingressParent, info) };
}

/** The filters on one device's ingress. */
export function dumpFilters(socket: NetlinkSocket, index: number): FoundFilter[] {
  try {
    return socket
      .dump({ what: "list the filters of a device", type: RTM_GETTFILTER, body: header(index, 0, ingressParent, 0) })
      .map(decodeFilter)
      .filter((filter) => filter !== undefined);
  } catch (error) {
    if (errnoOf(error) === "EINVAL" || errnoOf(error) === "ENODEV") return []; // no clsact, or no device
    throw error;
  }
}

/** The body of an RTM_NEWTFILTER; undefined for what only holds filters. */
export function decodeFilter(body: Buffer): FoundFilter | undefined {
  const attributes = parseAttributes(body.subarray(HEADER));
  const options = parseNested(attributes, TCA_OPTIONS);
  const kind = readText(attributes, TCA_KIND);
  if ((attributes.get(TCA_OPTIONS)?.length ?? 0) === 0) return undefined;
  if (kind === "bpf") return { kind, name: readText(options, TCA_BPF_NAME) ?? "" };
  if (kind !== "u32") return { kind: "other" };
  const actions = options.get(TCA_U32_ACT);
  if (actions === undefined) return undefined; // a hash table of u32's
  const last = attributeList(actions).at(-1);
  const action = parseAttributes(last?.[1] ?? Buffer.alloc(0));
  const parameters = parseNested(action, TCA_ACT_OPTIONS).get(TCA_MIRRED_PARMS);
  if (readText(action, TCA_ACT_KIND) !== "mirred" || parameters === undefined) return { kind: "other" };
  return { kind, target: parameters.readUInt32LE(24), cookie: action.get(TCA_ACT_COOKIE)?.toString() ?? "" };
}

// The first node of u32's first hash table: the same handle again is a change, not a second filter.
const u32Handle = 0x80000800;
// Priority and (big-endian) protocol share a word.
const info = ((priority << 16) | (ETH_P_ALL << 8)) >>> 0;

function filterChange(what: string, index: number, handle: number, kind: string, options: Buffer): Request {
  const body = Buffer.concat([header(index, handle, ingressParent, info), text(TCA_KIND, kind), options]);
  return { what, type: RTM_NEWTFILTER, flags: NLM_F_CREATE | NLM_F_REPLACE, body };
}

/** `struct tc_mirred`. */
function mirred(target: number): Buffer {
  const bytes = Buffer.alloc(28);
  bytes.writeInt32LE(TC_ACT_STOLEN, 8);
  bytes.writeInt32LE(TCA_EGRESS_REDIR, 20);
  bytes.writeUInt32LE(target, 24);
  return bytes;
}

/** `struct tc_u32_sel` with one key that any packet matches. */
function matchAll(): Buffer {
  const bytes = Buffer.alloc(32);
  bytes.writeUInt8(TC_U32_TERMINAL, 0);
  bytes.writeUInt8(1, 2);
  return bytes;
}

/** `struct tcmsg`. */
function header(index: number, handle: number, parent: number, word: number): Buffer {
  const bytes = Buffer.alloc(HEADER);
  bytes.writeInt32LE(index, 4);
  bytes.writeUInt32LE(handle, 8);
  bytes.writeUInt32LE(parent, 12);
  bytes.writeUInt32LE(word, 16);
  return bytes;
}
