/**
 * Elements of nftables sets, and what a chain's rules are, by netlink, over sockets that stay open: closing one waits for the kernel to have freed what was
 * removed before, 10 ms and more, and libnftables opens and closes one for every command.
 */
import os from "node:os";
import { MeshError } from "../core/error.js";
import { close } from "./ffi/file.js";
import { AF_NETLINK, bind, recv, SO_RCVTIMEO, SOCK_RAW, SOL_SOCKET, send, setOption, socket, timeval } from "./ffi/socket.js";
import { errnoOf, systemFailure } from "./ffi/system.js";
import { type Attributes, attribute, attributeList, nested, parseAttributes, parseNested, readText, text } from "./netlink/attributes.js";
import { decodeError, decodeMessages, encodeMessage, NLM_F_ACK, NLM_F_CREATE, NLM_F_REQUEST, NLMSG_ERROR } from "./netlink/message.js";
import { NetlinkSocket, netlinkAddress } from "./netlink/socket.js";

const NETLINK_NETFILTER = 12;
const NFNL_MSG_BATCH_BEGIN = 0x10;
const NFNL_MSG_BATCH_END = 0x11;
const NFNL_SUBSYS_NFTABLES = 10;
const NFT_MSG_GETCHAIN = 4;
const NFT_MSG_GETRULE = 7;
const NFT_MSG_GETSET = 10;
const NFT_MSG_NEWSETELEM = 12;
const NFT_MSG_GETSETELEM = 13;
const NFT_MSG_DELSETELEM = 14;
const families = { inet: 1, bridge: 7 } as const;
const NFTA_CHAIN_TABLE = 1;
const NFTA_CHAIN_NAME = 3;
const NFTA_CHAIN_HOOK = 4;
const NFTA_CHAIN_POLICY = 5;
const NFTA_RULE_TABLE = 1;
const NFTA_RULE_CHAIN = 2;
const NFTA_RULE_EXPRESSIONS = 4;
const NFTA_SET_TABLE = 1;
const NFTA_SET_NAME = 2;
const NFTA_SET_ELEM_LIST_TABLE = 1;
const NFTA_SET_ELEM_LIST_SET = 2;
const NFTA_SET_ELEM_LIST_ELEMENTS = 3;
const NFTA_LIST_ELEM = 1;
const NFTA_SET_ELEM_KEY = 1;
const NFTA_SET_ELEM_DATA = 2;
const NFTA_SET_ELEM_EXPR = 7;
const NFTA_EXPR_DATA = 2;
const NFTA_COUNTER_PACKETS = 2;
const NFTA_DATA_VALUE = 1;
const answerTimeoutMs = 5_000;
const nfgenmsg = 4;
const answer = Buffer.alloc(8192);

/** A table. */
export interface NftTable {
  /** "inet" unless told. */
  readonly family?: keyof typeof families;
  readonly table: string;
}

export interface NftSet extends NftTable {
  readonly set: string;
}

/** An element of a set, or of a map with its data. */
export interface NftElement {
  readonly set: NftSet;
  readonly key: Uint8Array;
  readonly data?: Uint8Array;
}

export interface NftChain extends NftTable {
  readonly chain: string;
}

/** One message of a transaction. */
interface Change {
  readonly message: number;
  readonly flags: number;
  readonly body: Uint8Array;
}

/** Changes and reads sets of the network namespace in which it was made. Keys are as nftables packs them: each part padded to four bytes. */
export class NftElements implements Disposable {
  readonly #fd: number;
  readonly #reader: NetlinkSocket;
  #sequence = 0;

  constructor() {
    this.#fd = openNetfilter();
    this.#reader = new NetlinkSocket(NETLINK_NETFILTER);
  }

  /** Puts a key into the set; there already is fine. */
  add(where: NftSet, key: Uint8Array): void {
    this.addAll([{ set: where, key }]);
  }

  /** Puts them all in at once, or none; there already, with the same data, is fine. */
  addAll(elements: readonly NftElement[]): void {
    const names = [...new Set(elements.map(({ set }) => set.set))];
    this.#change(`add elements to nftables set ${names.join(", ")}`, elements.map(addition));
  }

  /** Takes keys that are there out of the set and puts others in, which may be the same with other data: all at once, or none. */
  exchange(where: NftSet, old: readonly Uint8Array[], fresh: readonly NftElement[]): void {
    const changes = [...old.map((key) => deletion(where, key)), ...fresh.map(addition)];
    if (changes.length > 0) this.#change(`exchange elements of nftables set ${where.set}`, changes);
  }

  /** Takes a key out of the set; not there is fine. */
  remove(where: NftSet, key: Uint8Array): void {
    try {
      this.#change(`remove an element from nftables set ${where.set}`, [deletion(where, key)]);
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw error;
    }
  }

  /** Whether a key is in the set, without reading the others. */
  has(where: NftSet, key: Uint8Array): boolean {
    return this.#element(where, key) !== undefined;
  }

  /** The data that a map has for a key, without reading the others. */
  data(where: NftSet, key: Uint8Array): Buffer | undefined {
    const element = this.#element(where, key);
    return element && parseNested(element, NFTA_SET_ELEM_DATA).get(NFTA_DATA_VALUE);
  }

  /** The keys in the set, in no order. */
  list(where: NftSet): Buffer[] {
    return this.#elements(where).flatMap(keyIn);
  }

  /** The names of the table's sets and maps; none without the table. */
  sets({ family, table }: NftTable): string[] {
    const body = Buffer.concat([header(numberOf(family), 0), text(NFTA_SET_TABLE, table)]);
    try {
      const found = this.#reader.dump({ what: `read the sets of nftables table ${table}`, type: messageType(NFT_MSG_GETSET), body });
      return found.map((set) => readText(parseAttributes(set.subarray(nfgenmsg)), NFTA_SET_NAME) ?? "");
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return [];
      throw error;
    }
  }

  /** The packets that the set's elements with a counter have counted, by key. */
  counts(where: NftSet): [key: Buffer, packets: number][] {
    return this.#elements(where).flatMap((element) => keyIn(element).map((key): [Buffer, number] => [key, packetsIn(element)]));
  }

  /** Where the chain hangs and what its rules do, in bytes that are the same as long as those are; none without the chain. */
  chain({ family, table, chain }: NftChain): Buffer {
    const what = `read nftables chain ${chain}`;
    const named = Buffer.concat([header(numberOf(family), 0), text(NFTA_CHAIN_TABLE, table), text(NFTA_CHAIN_NAME, chain)]);
    const [place] = this.#reader.request({
      ...{ what, type: messageType(NFT_MSG_GETCHAIN), body: named },
      absent: os.constants.errno.ENOENT,
    });
    if (place === undefined) return Buffer.alloc(0);
    const body = Buffer.concat([header(numberOf(family), 0), text(NFTA_RULE_TABLE, table), text(NFTA_RULE_CHAIN, chain)]);
    const rules = this.#reader.dump({ what, type: messageType(NFT_MSG_GETRULE), body });
    return Buffer.concat([
      pick(place, NFTA_CHAIN_HOOK),
      pick(place, NFTA_CHAIN_POLICY),
      ...rules.map((rule) => pick(rule, NFTA_RULE_EXPRESSIONS)),
    ]);
  }

  [Symbol.dispose](): void {
    close(this.#fd);
    this.#reader[Symbol.dispose]();
  }

  #elements(where: NftSet): Attributes[] {
    const body = Buffer.concat([header(numberOf(where.family), 0), ...names(where)]);
    const what = `read nftables set ${where.set}`;
    return this.#reader.dump({ what, type: messageType(NFT_MSG_GETSETELEM), body }).flatMap(elementsIn);
  }

  #element(where: NftSet, key: Uint8Array): Attributes | undefined {
    const what = `look into nftables set ${where.set}`;
    const [answer] = this.#reader.request({
      ...{ what, type: messageType(NFT_MSG_GETSETELEM), body: encodeElement(where, key) },
      absent: os.constants.errno.ENOENT,
    });
    return answer && elementsIn(answer)[0];
  }

  /** One transaction. Its begin and end are not asked for an acknowledgement: only new kernels give one there. */
  #change(what: string, changes: readonly Change[]): void {
    const first = this.#sequence + 1;
    this.#sequence += changes.length;
    const batch = header(0, NFNL_SUBSYS_NFTABLES);
    const messages = changes.map(({ message, flags, body }, n) =>
      encodeMessage(messageType(message), NLM_F_REQUEST | NLM_F_ACK | flags, first + n, body),
    );
    send(
      this.#fd,
      Buffer.concat([
        encodeMessage(NFNL_MSG_BATCH_BEGIN, NLM_F_REQUEST, first, batch),
        ...messages,
        encodeMessage(NFNL_MSG_BATCH_END, NLM_F_REQUEST, this.#sequence, batch),
      ]),
    );
    this.#hearAll(what, first);
  }

  /** Waits until each change from that number on is acknowledged. Throws the first error; what was not heard by then is passed over later. */
  #hearAll(what: string, first: number): void {
    for (let next = first; next <= this.#sequence; ) {
      const length = recv(this.#fd, answer);
      if (length < 0) throw new MeshError("kernel", `${what}: the kernel did not answer within ${answerTimeoutMs / 1000} s`);
      for (const message of decodeMessages(answer.subarray(0, length))) {
        if (message.type !== NLMSG_ERROR || message.sequence < first) continue;
        const { errno } = decodeError(message);
        if (errno !== 0) throw systemFailure(what, errno);
        next = Math.max(next, message.sequence + 1);
      }
    }
  }
}

function openNetfilter(): number {
  const fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER);
  bind(fd, netlinkAddress(0));
  setOption(fd, SOL_SOCKET, SO_RCVTIMEO, timeval(answerTimeoutMs));
  return fd;
}

function addition({ set, key, data }: NftElement): Change {
  return { message: NFT_MSG_NEWSETELEM, flags: NLM_F_CREATE, body: encodeElement(set, key, data) };
}

function deletion(where: NftSet, key: Uint8Array): Change {
  return { message: NFT_MSG_DELSETELEM, flags: 0, body: encodeElement(where, key) };
}

function encodeElement(where: NftSet, key: Uint8Array, data?: Uint8Array): Buffer {
  const parts = [nested(NFTA_SET_ELEM_KEY, attribute(NFTA_DATA_VALUE, key))];
  if (data !== undefined) parts.push(nested(NFTA_SET_ELEM_DATA, attribute(NFTA_DATA_VALUE, data)));
  const element = nested(NFTA_LIST_ELEM, ...parts);
  return Buffer.concat([header(numberOf(where.family), 0), ...names(where), nested(NFTA_SET_ELEM_LIST_ELEMENTS, element)]);
}

function pick(body: Buffer, type: number): Buffer {
  return parseAttributes(body.subarray(nfgenmsg)).get(type) ?? Buffer.alloc(0);
}

function elementsIn(body: Buffer): Attributes[] {
  return attributeList(pick(body, NFTA_SET_ELEM_LIST_ELEMENTS)).map(([, element]) => parseAttributes(element));
}

function keyIn(element: Attributes): Buffer[] {
  const key = parseNested(element, NFTA_SET_ELEM_KEY).get(NFTA_DATA_VALUE);
  return key === undefined ? [] : [key];
}

function packetsIn(element: Attributes): number {
  const packets = parseNested(parseNested(element, NFTA_SET_ELEM_EXPR), NFTA_EXPR_DATA).get(NFTA_COUNTER_PACKETS);
  return packets === undefined ? 0 : Number(packets.readBigUInt64BE());
}

function names({ table, set }: NftSet): Buffer[] {
  return [text(NFTA_SET_ELEM_LIST_TABLE, table), text(NFTA_SET_ELEM_LIST_SET, set)];
}

function numberOf(family: NftTable["family"] = "inet"): number {
  return families[family];
}

function header(family: number, resource: number): Buffer {
  return Buffer.from([family, 0, resource >> 8, resource & 0xff]);
}

function messageType(message: number): number {
  return (NFNL_SUBSYS_NFTABLES << 8) | message;
}
