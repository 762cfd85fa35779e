/** Hand-made protobuf: a vector reads like the .proto file, field by field. */

/** A tag: the field's number and the wire type (0 varint, 1 eight bytes, 2 length-delimited, 5 four bytes). */
const tag = (field: number, wireType: number) => varint(field * 8 + wireType);

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))];
}

/** A length-delimited field: a text, or a message made of fields. */
export function field(number: number, ...content: (string | readonly number[])[]): number[] {
  const bytes = content.flatMap((part) => (typeof part === "string" ? [...Buffer.from(part, "utf8")] : [...part]));
  return [...tag(number, 2), ...varint(bytes.length), ...bytes];
}

/** A number, a switch or an enum. */
export function number(field: number, value: number): number[] {
  return [...tag(field, 0), ...varint(value)];
}

/** One entry of a map<string, ...>. */
export function entry(number: number, key: string, value: string | readonly number[]): number[] {
  return field(number, field(1, key), field(2, value));
}

export const hex = (bytes: Uint8Array | readonly number[]) => Buffer.from(bytes).toString("hex");
