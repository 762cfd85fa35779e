import type { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";
import { MeshError } from "../core/error.js";
import { lean } from "./lean.js";
import { SharingReader } from "./sharedStrings.js";

/** A message's two forms. `decode` throws MeshError "invalid", `encode` "internal". */
export interface Codec<T> {
  encode(message: T): Uint8Array;
  decode(bytes: Uint8Array): T;
}

interface Generated<T> {
  encode(message: T): BinaryWriter;
  decode(reader: BinaryReader): T;
}

/**
 * The codec of a generated message. `check` sees what came from outside, once, and throws MeshError "invalid". `most` is for answers, of
 * which the transport takes larger ones: how many bytes this one may have.
 */
export function codec<T extends object>(
  name: string,
  generated: Generated<T>,
  check: (message: T) => void = () => {},
  most = Number.POSITIVE_INFINITY,
): Codec<T> {
  return {
    encode(message) {
      try {
        return generated.encode(message).finish();
      } catch (error) {
        throw new MeshError("internal", `a ${name} cannot be encoded: ${reason(error)}`, { cause: error });
      }
    },
    decode(bytes) {
      if (bytes.length > most) throw new MeshError("invalid", `a ${name} has ${bytes.length} bytes; at most ${most} are taken`);
      const message = decodeAll(name, generated, bytes);
      check(message);
      return message;
    },
  };
}

function decodeAll<T extends object>(name: string, generated: Generated<T>, bytes: Uint8Array): T {
  const reader = new SharingReader(bytes);
  let message: T;
  try {
    message = generated.decode(reader);
  } catch (error) {
    throw new MeshError("invalid", `a ${name} of ${bytes.length} bytes is malformed: ${reason(error)}`, { cause: error });
  }
  // Generated code stops without a word at a tag 0 or a stray end of a group.
  if (reader.pos === reader.len) {
    lean(message);
    return message;
  }
  throw new MeshError("invalid", `a ${name} of ${bytes.length} bytes is malformed: unexpected data at byte ${reader.pos}`);
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
