import { MeshError } from "../../core/error.js";

/** A message as it goes over TCP: its length before it (RFC 1035, 4.2.2). */
export function framed(message: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}

/** The messages of a TCP stream, one at a time; what comes meanwhile waits in the socket. "invalid" for one above `limit` bytes. */
export async function* frames(stream: AsyncIterable<Buffer>, limit = 65_535): AsyncGenerator<Buffer> {
  let held = Buffer.alloc(0);
  for await (const chunk of stream) {
    held = Buffer.concat([held, chunk]);
    while (held.length >= 2) {
      const end = 2 + held.readUInt16BE(0);
      if (end - 2 > limit) throw new MeshError("invalid", `a message of ${end - 2} bytes; at most ${limit} are taken`);
      if (held.length < end) break;
      yield held.subarray(2, end);
      held = held.subarray(end);
    }
  }
}
