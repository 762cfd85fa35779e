import { createHash } from "node:crypto";
import type { Guard } from "./model.js";
import { canonicalIp, ipBytes, ipText, linkLocalOf, macBytes, macText } from "./netlink/ip.js";
import type { NftElement, NftElements, NftTable } from "./nftElements.js";

const deviceLength = 16;
const kinds = ["macs", "addresses4", "addresses6", "open"] as const;
type Kind = (typeof kinds)[number];

/** An element of one of the sets: a port, and what it may send from. */
interface Entry {
  readonly kind: Kind;
  readonly device: string;
  readonly value: Buffer;
}

/**
 * What each port of a switched segment may send, in sets that the rules look into. Beside them a map holds a seal for each port, a digest of
 * its elements, which goes before they change and comes back after: where the wanted seal is found with the wanted elements, there are no
 * others, and none have to be listed.
 */
export class Guards {
  readonly #elements: NftElements;
  readonly #table: NftTable;

  constructor(elements: NftElements, table: NftTable) {
    this.#elements = elements;
    this.#table = table;
  }

  /** All, at a cost that grows with their number. */
  list(): Guard[] {
    const seals = new Map(this.#elements.list(this.#seals).map((key) => [deviceIn(key), this.#elements.data(this.#seals, key)]));
    const found = new Map<string, Entry[]>([...seals.keys()].map((device) => [device, []]));
    for (const entry of this.#entries()) found.set(entry.device, [...(found.get(entry.device) ?? []), entry]);
    return [...found].map(([device, entries]) => guardOf(device, entries, seals.get(device)));
  }

  /** That of one port, without a look at the others where it is as wanted. Elements of a port without a seal are seen by `list` alone. */
  find(device: string, wanted: Guard | undefined): Guard | undefined {
    const seal = this.#seal(device);
    if (seal === undefined) return undefined;
    const known = wanted === undefined ? [] : entriesOf(wanted);
    const right = seal.equals(sealOf(known)) && known.every((entry) => this.#elements.has(this.#set(entry.kind), keyOf(entry)));
    return right ? wanted : guardOf(device, ofDevice(this.#entries(), device), seal);
  }

  /** Lets the port send that and nothing else. `anew`: nothing was found of it before. */
  settle(guard: Guard, anew: boolean): void {
    const { device } = guard;
    const wanted = entriesOf(guard);
    if (!anew || this.#seal(device) !== undefined) {
      this.#elements.remove(this.#seals, deviceKey(device));
      this.#removeAll(ofDevice(this.#entries(), device).filter((entry) => !wanted.some((right) => sameEntry(right, entry))));
    }
    this.#elements.addAll([
      ...wanted.map((entry): NftElement => ({ set: this.#set(entry.kind), key: keyOf(entry) })),
      { set: this.#seals, key: deviceKey(device), data: sealOf(wanted) },
    ]);
  }

  /** Lets the port send nothing. Not there: nothing to do. */
  remove(guard: Guard): void {
    const { device } = guard;
    const known = entriesOf(guard);
    this.#removeAll(this.#seal(device)?.equals(sealOf(known)) ? known : ofDevice(this.#entries(), device));
    this.#elements.remove(this.#seals, deviceKey(device)); // the last, so that what is left half-done is seen
  }

  get #seals() {
    return this.#set("guards");
  }

  #seal(device: string): Buffer | undefined {
    return this.#elements.data(this.#seals, deviceKey(device));
  }

  #set(set: string) {
    return { ...this.#table, set };
  }

  #entries(): Entry[] {
    return kinds.flatMap((kind) => this.#elements.list(this.#set(kind)).map((key) => entryIn(kind, key)));
  }

  #removeAll(entries: readonly Entry[]): void {
    for (const entry of entries) this.#elements.remove(this.#set(entry.kind), keyOf(entry));
  }
}

/** What a guard consists of, as nftables writes elements: `SET { ELEMENT }`, the seal last. */
export function guardText(guard: Guard): string[] {
  const entries = entriesOf(guard);
  const texts = entries.map(({ kind, device, value }) => {
    if (kind === "open") return `${kind} { ${device} }`;
    return `${kind} { ${device} . ${kind === "addresses4" ? ipText(value) : `0x${value.toString("hex")}`} }`;
  });
  return [...texts, `guards { ${guard.device} : ${ipText(sealOf(entries))} }`];
}

/** An interface's name as nftables keeps it. */
export function deviceIn(key: Buffer): string {
  const zero = key.indexOf(0);
  return key.toString("utf8", 0, zero < 0 ? deviceLength : zero);
}

function deviceKey(device: string): Buffer {
  const key = Buffer.alloc(deviceLength);
  key.write(device);
  return key;
}

/** The port's link-local address goes with its MAC address. A guard that was found may show several MAC addresses, or none. */
function entriesOf({ device, mac, addresses, spoofing }: Guard): Entry[] {
  const macs = mac.split(" ").filter((each) => each !== "");
  const values = [...new Set([...addresses.map(canonicalIp), ...macs.map(linkLocalOf)])].map(ipBytes);
  return [
    ...macs.map((each): Entry => ({ kind: "macs", device, value: macBytes(each) })),
    ...values.map((value): Entry => ({ kind: value.length === 4 ? "addresses4" : "addresses6", device, value })),
    ...(spoofing ? [{ kind: "open" as const, device, value: Buffer.alloc(0) }] : []),
  ];
}

/** What the entries let pass. */
function guardOf(device: string, entries: readonly Entry[], seal: Buffer | undefined): Guard {
  const values = (...of: Kind[]) => entries.filter(({ kind }) => of.includes(kind)).map(({ value }) => value);
  const macs = values("macs").map(macText).sort();
  const goesWithout = macs.map(linkLocalOf);
  const addresses = values("addresses4", "addresses6")
    .map(ipText)
    .filter((address) => !goesWithout.includes(address))
    .sort();
  const guard = { kind: "guard", device, mac: macs.join(" "), addresses, spoofing: values("open").length > 0 } as const;
  return seal?.equals(sealOf(entries)) ? guard : { ...guard, fault: "it was changed by somebody else, or not finished" };
}

function sealOf(entries: readonly Entry[]): Buffer {
  const text = entries.map(({ kind, value }) => `${kind} ${value.toString("hex")}`).sort();
  return createHash("sha256").update(text.join("\n")).digest().subarray(0, 16);
}

/** The parts of a key are padded to four bytes each. */
function keyOf({ device, value }: Entry): Buffer {
  return Buffer.concat([deviceKey(device), value, Buffer.alloc(-value.length & 3)]);
}

function entryIn(kind: Kind, key: Buffer): Entry {
  const end = kind === "macs" ? deviceLength + 6 : key.length;
  return { kind, device: deviceIn(key), value: key.subarray(deviceLength, end) };
}

function ofDevice(entries: readonly Entry[], device: string): Entry[] {
  return entries.filter((entry) => entry.device === device);
}

function sameEntry(a: Entry, b: Entry): boolean {
  return a.kind === b.kind && a.device === b.device && a.value.equals(b.value);
}
