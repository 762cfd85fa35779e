import { get } from "node:http";
import { Socket } from "node:net";
import type { Clock } from "../../core/clock.js";
import { close } from "../../kernel/ffi/file.js";
import { AF_INET, connect, SOCK_STREAM, socket } from "../../kernel/ffi/socket.js";
import { netnsPath, within } from "../../kernel/netns.js";
import { timeLimit } from "../../rpc/signals.js";

const patienceMs = 2_000;

/** The status of a GET at a port of a namespace's loopback, plain HTTP; undefined where nobody answers within 2 s. */
export async function statusAt(
  where: { readonly namespace: string; readonly port: number; readonly path: string },
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<number | undefined> {
  using limit = timeLimit(clock, patienceMs, signal);
  try {
    const fd = within(netnsPath(where.namespace), () => connected(where.port));
    const options = { path: where.path, signal: limit.signal, createConnection: () => new Socket({ fd }) };
    return await new Promise((resolve, reject) => {
      get(options, (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      }).once("error", reject);
    });
  } catch {
    signal.throwIfAborted();
    return undefined;
  }
}

// Node connects a socket only after the call that asks for it, which is after we have left the namespace. A loopback answers at once.
function connected(port: number): number {
  const address = Buffer.alloc(16);
  address.set(new Uint8Array(Uint16Array.of(AF_INET).buffer));
  address.writeUInt16BE(port, 2);
  address.set([127, 0, 0, 1], 4);
  const fd = socket(AF_INET, SOCK_STREAM, 0);
  try {
    connect(fd, address);
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}
