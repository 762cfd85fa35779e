import { createSocket } from "node:dgram";
import { connect, isIP } from "node:net";
import { MeshError } from "../../core/error.js";
import { framed, frames } from "./frames.js";

/** Another resolver. */
export interface Upstream {
  readonly address: string;
  readonly port: number;
}

export type Transport = "udp" | "tcp";

/** `192.0.2.53`, `192.0.2.53:5353`, `2001:db8::53` or `[2001:db8::53]:5353`. Throws "invalid" with what was given. */
export function parseUpstream(text: string): Upstream {
  const [, inBrackets, behind, plain, port = "53"] = /^(?:\[([^\]]+)\](?::(\d{1,5}))?|([^:]+)(?::(\d{1,5}))?)$/.exec(text) ?? [];
  const address = inBrackets ?? plain ?? text;
  const number = Number(inBrackets === undefined ? port : (behind ?? "53"));
  if (isIP(address) === 0 || number < 1 || number > 65_535)
    throw new MeshError(
      "invalid",
      `a resolver to ask is named as 192.0.2.53, 192.0.2.53:5353 or [2001:db8::53]:5353; got ${JSON.stringify(text)}`,
    );
  return { address, port: number };
}

/**
 * Sends a message and returns the first that comes back and is `wanted`; from elsewhere nothing is taken. The socket is a new one each
 * time, with a port that the kernel draws. "unreachable" when the other side refuses; rejects with the signal's reason.
 */
export function ask(
  { address, port }: Upstream,
  transport: Transport,
  message: Buffer,
  options: { readonly wanted: (bytes: Buffer) => boolean; readonly signal: AbortSignal },
): Promise<Buffer> {
  options.signal.throwIfAborted();
  return transport === "udp" ? askUdp({ address, port }, message, options) : askTcp({ address, port }, message, options);
}

type Options = Parameters<typeof ask>[3];

function askUdp({ address, port }: Upstream, message: Buffer, { wanted, signal }: Options): Promise<Buffer> {
  const socket = createSocket(isIP(address) === 4 ? "udp4" : "udp6");
  return new Promise<Buffer>((resolve, reject) => {
    const stop = () => reject(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    socket.once("close", () => signal.removeEventListener("abort", stop));
    const failed = (cause: Error | null | undefined) => cause && reject(unreachable(address, port, cause));
    socket.on("error", failed);
    socket.on("message", (bytes) => wanted(bytes) && resolve(bytes));
    // Connected, so that the kernel takes packets of that address and port only, and tells when nobody is there.
    socket.once("connect", () => socket.send(message, failed));
    socket.connect(port, address);
  }).finally(() => socket.close());
}

function askTcp({ address, port }: Upstream, message: Buffer, { wanted, signal }: Options): Promise<Buffer> {
  const socket = connect({ host: address, port, signal });
  const answer = async () => {
    socket.write(framed(message));
    for await (const bytes of frames(socket)) if (wanted(bytes)) return bytes;
    throw new MeshError("unreachable", `${address} port ${port} hung up without an answer`);
  };
  return answer()
    .catch((cause: Error) => {
      signal.throwIfAborted();
      throw unreachable(address, port, cause);
    })
    .finally(() => socket.destroy());
}

function unreachable(address: string, port: number, cause: Error): MeshError {
  return new MeshError("unreachable", `${address} port ${port} does not answer: ${cause.message}`, { cause });
}
