import type { Writable } from "node:stream";
import { onAbort, until } from "./signals.js";

/** Writes messages at the pace of their reader, until there are no more or the signal ends. */
export async function writeAll(to: Writable, messages: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
  for await (const bytes of until(messages, signal)) if (!to.write(buffer(bytes))) await writable(to, signal);
}

/** The reader has taken what was written, or will never. */
function writable(to: Writable, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    to.once("drain", resolve);
    const tie = onAbort(signal, resolve);
    to.once("drain", () => tie[Symbol.dispose]());
  });
}

/** The same bytes, no copy. */
export function buffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
