/** Attributes of netlink messages: little-endian numbers in four-byte aligned type-length-value. */

const NLA_F_NESTED = 0x8000;
const NLA_TYPE_MASK = 0x3fff;
const HEADER = 4;

/** One attribute with its header and padding. */
export function attribute(type: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(align(HEADER + payload.length));
  bytes.writeUInt16LE(HEADER + payload.length, 0);
  bytes.writeUInt16LE(type, 2);
  bytes.set(payload, HEADER);
  return bytes;
}

/** An attribute that holds attributes. */
export function nested(type: number, ...inner: readonly Uint8Array[]): Buffer {
  return attribute(type | NLA_F_NESTED, Buffer.concat(inner));
}

/** An attribute that says yes by being there. */
export function flag(type: number): Buffer {
  return attribute(type, new Uint8Array(0));
}

export function u8(type: number, value: number): Buffer {
  return attribute(type, Uint8Array.of(value));
}

export function u16(type: number, value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return attribute(type, bytes);
}

/** Big-endian, as ports are. */
export function be16(type: number, value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return attribute(type, bytes);
}

export function u32(type: number, value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0);
  return attribute(type, bytes);
}

export function u64(type: number, value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return attribute(type, bytes);
}

/** A string with its closing zero. */
export function text(type: number, value: string): Buffer {
  return attribute(type, Buffer.from(`${value}\0`));
}

/** Attributes by type; of a type that comes twice, the last. */
export interface Attributes {
  get(type: number): Buffer | undefined;
}

/**
 * A view of the bytes, in which only what is asked for is looked for: a link has fifty attributes of which ten are of interest, and links
 * are read all the time. Stops quietly at a length that leads outside.
 */
export function parseAttributes(bytes: Buffer): Attributes {
  return {
    get(wanted) {
      let found: Buffer | undefined;
      for (let at = 0, end = endOf(bytes, at); end !== undefined; at = align(end), end = endOf(bytes, at))
        if (typeAt(bytes, at) === wanted) found = bytes.subarray(at + HEADER, end);
      return found;
    },
  };
}

/** All of them in order, for lists whose types repeat. */
export function attributeList(bytes: Buffer): [type: number, payload: Buffer][] {
  const found: [number, Buffer][] = [];
  for (let at = 0, end = endOf(bytes, at); end !== undefined; at = align(end), end = endOf(bytes, at))
    found.push([typeAt(bytes, at), bytes.subarray(at + HEADER, end)]);
  return found;
}

const nothing = parseAttributes(Buffer.alloc(0));

/** The attributes inside an attribute; none when it is absent. */
export function parseNested(attributes: Attributes, type: number): Attributes {
  const inside = attributes.get(type);
  return inside === undefined ? nothing : parseAttributes(inside);
}

function typeAt(bytes: Buffer, at: number): number {
  return bytes.readUInt16LE(at + 2) & NLA_TYPE_MASK;
}

/** Where the attribute at `at` ends, without its padding; undefined where there is no whole one. */
function endOf(bytes: Buffer, at: number): number | undefined {
  if (at + HEADER > bytes.length) return undefined;
  const length = bytes.readUInt16LE(at);
  return length < HEADER || at + length > bytes.length ? undefined : at + length;
}

export function readText(attributes: Attributes, type: number): string | undefined {
  const bytes = attributes.get(type);
  if (bytes === undefined) return undefined;
  const zero = bytes.indexOf(0);
  return bytes.toString("utf8", 0, zero < 0 ? bytes.length : zero);
}

export function readU8(attributes: Attributes, type: number): number | undefined {
  const bytes = attributes.get(type);
  return bytes === undefined || bytes.length < 1 ? undefined : bytes.readUInt8();
}

export function readU16(attributes: Attributes, type: number): number | undefined {
  const bytes = attributes.get(type);
  return bytes === undefined || bytes.length < 2 ? undefined : bytes.readUInt16LE();
}

export function readBe16(attributes: Attributes, type: number): number | undefined {
  const bytes = attributes.get(type);
  return bytes === undefined || bytes.length < 2 ? undefined : bytes.readUInt16BE();
}

export function readU32(attributes: Attributes, type: number): number | undefined {
  const bytes = attributes.get(type);
  return bytes === undefined || bytes.length < 4 ? undefined : bytes.readUInt32LE();
}

export function readI32(attributes: Attributes, type: number): number | undefined {
  const bytes = attributes.get(type);
  return bytes === undefined || bytes.length < 4 ? undefined : bytes.readInt32LE();
}

export function readU64(attributes: Attributes, type: number): bigint | undefined {
  const bytes = attributes.get(type);
  return bytes === undefined || bytes.length < 8 ? undefined : bytes.readBigUInt64LE();
}

export function align(length: number): number {
  return (length + 3) & ~3;
}
