import type { Bridge } from "./model.js";
import type { NftElement, NftElements, NftSet, NftTable } from "./nftElements.js";

/** What IP and TCP take of a packet without options, by what the kernel calls the protocol (its ethertype) and what nftables does. */
const families = [
  { protocol: 0x0800, word: "ip", headers: 40 },
  { protocol: 0x86dd, word: "ip6", headers: 60 },
] as const;

/**
 * How large TCP's segments may be in a switched segment, in a map that the rules look into. It goes with the MTU of the bridge: a switch tells
 * nobody that a packet is too large, and hosts behind a member do not know how large it may be.
 */
export class Clamp {
  readonly #elements: NftElements;
  readonly #set: NftSet;

  constructor(elements: NftElements, table: NftTable) {
    this.#elements = elements;
    this.#set = { ...table, set: "sizes" };
  }

  /** No packet meets a gap between the old sizes and the new ones. */
  settle({ mtu }: Bridge): void {
    const old = families.map(({ protocol }) => twoBytes(protocol)).filter((key) => this.#elements.has(this.#set, key));
    const fresh = families.map(({ protocol, headers }): NftElement => {
      return { set: this.#set, key: twoBytes(protocol), data: twoBytes(mtu - headers) };
    });
    this.#elements.exchange(this.#set, old, fresh);
  }

  /** A found bridge, with a fault where TCP's segments are not as its MTU says. */
  judged(bridge: Bridge): Bridge {
    const isRight = families.every(({ protocol, headers }) => {
      return this.#elements.data(this.#set, twoBytes(protocol))?.equals(twoBytes(bridge.mtu - headers)) === true;
    });
    return isRight || bridge.fault !== undefined ? bridge : { ...bridge, fault: "TCP is not clamped to its MTU" };
  }
}

/** The sizes for an MTU, as nftables writes elements. */
export function clampText(mtu: number): string {
  return `{ ${families.map(({ word, headers }) => `${word} : ${mtu - headers}`).join(", ")} }`;
}

/** As both keys and sizes stand in packets. */
function twoBytes(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff]);
}
