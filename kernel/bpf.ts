import { loadClassifier } from "./ffi/bpf.js";
import { macBytes } from "./netlink/ip.js";

/** eBPF's helpers by number. */
const skbStoreBytes = 9;
const redirect = 23;
const skbChangeHead = 43;
const redirectPeer = 155;
const ethernetHeader = 14;
const dropPacket = 2; // TC_ACT_SHOT
const protocolField = 16; // of struct __sk_buff

/** Where a program sends all packets. */
export interface Target {
  readonly index: number;
  readonly by: "peer" | "device";
  /** The header for packets that come without one. */
  readonly ethernet?: { readonly destination: string; readonly source: string } | undefined;
}

/** Loads the program for a target; the caller attaches it and closes the descriptor. */
export function loadRedirect(target: Target): number {
  return loadClassifier("isthmus", redirectProgram(target));
}

/** The instructions, 8 bytes each. */
export function redirectProgram(target: Target): Buffer {
  const start = target.ethernet === undefined ? [] : pushEthernet(target.ethernet);
  return Buffer.concat([
    ...start,
    move(1, target.index),
    move(2, 0), // flags
    call(target.by === "peer" ? redirectPeer : redirect),
    exit(),
  ]);
}

/** Room for a header, and the header: the two addresses, and the packet's own protocol. No room: the packet is dropped. */
function pushEthernet(ethernet: { readonly destination: string; readonly source: string }): Buffer[] {
  const addresses = Buffer.concat([macBytes(ethernet.destination), macBytes(ethernet.source)]);
  return [
    instruction(0xbf, { dst: 6, src: 1 }), // r6 = the packet
    instruction(0x61, { dst: 7, src: 6, offset: protocolField }), // r7 = its protocol, in network order
    move(2, ethernetHeader),
    move(3, 0), // flags
    call(skbChangeHead),
    instruction(0x15, { dst: 0, offset: 2 }), // r0 == 0: go on
    move(0, dropPacket),
    exit(),
    storeWord(-16, addresses.readInt32LE(0)),
    storeWord(-12, addresses.readInt32LE(4)),
    storeWord(-8, addresses.readInt32LE(8)),
    instruction(0x6b, { dst: 10, src: 7, offset: -4 }), // the last two bytes
    instruction(0xbf, { dst: 1, src: 6 }),
    move(2, 0), // at the packet's start
    instruction(0xbf, { dst: 3, src: 10 }),
    instruction(0x07, { dst: 3, immediate: -16 }),
    move(4, ethernetHeader),
    move(5, 0), // flags
    call(skbStoreBytes),
  ];
}

function move(register: number, value: number): Buffer {
  return instruction(0xb7, { dst: register, immediate: value });
}

function storeWord(offset: number, value: number): Buffer {
  return instruction(0x62, { dst: 10, offset, immediate: value });
}

function call(helper: number): Buffer {
  return instruction(0x85, { immediate: helper });
}

function exit(): Buffer {
  return instruction(0x95, {});
}

function instruction(code: number, parts: { dst?: number; src?: number; offset?: number; immediate?: number }): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt8(code, 0);
  bytes.writeUInt8(((parts.src ?? 0) << 4) | (parts.dst ?? 0), 1);
  bytes.writeInt16LE(parts.offset ?? 0, 2);
  bytes.writeInt32LE(parts.immediate ?? 0, 4);
  return bytes;
}
