import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import type { Clock } from "../../core/clock.js";
import { asMeshError } from "../../core/error.js";
import { boundSocket } from "../../kernel/boundSocket.js";
import { framed, frames } from "./frames.js";
import type { Shares } from "./shares.js";
import type { ListenerParts } from "./udpListener.js";

/** Who asks nothing, or takes no answer, for so long is hung up on. */
const idleMs = 10_000;
/** No question is larger. */
const largestQuestion = 4_096;

export interface TcpParts extends ListenerParts {
  readonly clock: Clock;
  /** Connections that are open at a time, at all addresses. */
  readonly connections: Shares;
}

/** Answers what comes to a TCP socket in a network namespace, one question of a connection after the other. Resolves when it listens. */
export async function listenTcp(parts: TcpParts): Promise<AsyncDisposable> {
  const fd = boundSocket(parts.netns, "tcp", parts.place);
  const ended = new AbortController();
  const open = new Set<Promise<void>>();
  const server = createServer({ noDelay: true }, (socket) => {
    const served = serve(socket, parts, ended.signal).finally(() => open.delete(served));
    open.add(served);
  });
  server.on("error", (error) => parts.log.warn("resolver's socket failed", { address: parts.place.address, error: error.message }));
  const listening = once(server, "listening");
  server.listen({ fd, exclusive: true });
  await listening;
  return {
    [Symbol.asyncDispose]: async () => {
      ended.abort(new Error("the resolver is closed"));
      const closed = new Promise((resolve) => server.close(resolve));
      await Promise.all([closed, ...open]);
    },
  };
}

/** Never rejects. */
async function serve(socket: Socket, { connections, answering, clock, log }: TcpParts, ended: AbortSignal): Promise<void> {
  // An error of a socket that nobody listens to would end the program.
  socket.on("error", () => {});
  const client = clientOf(socket);
  using place = connections.take(client);
  const hangUp = () => void socket.destroy();
  const closed = new Promise((resolve) => socket.once("close", resolve));
  let idle = clock.after(idleMs, hangUp);
  ended.addEventListener("abort", hangUp, { once: true });
  try {
    if (place === undefined) return;
    for await (const bytes of frames(socket, largestQuestion)) {
      const answer = await answering.answer(bytes, { client, transport: "tcp" }, ended);
      idle[Symbol.dispose]();
      idle = clock.after(idleMs, hangUp);
      if (answer !== undefined) await new Promise<void>((resolve) => socket.write(framed(answer), () => resolve()));
    }
  } catch (error) {
    log.debug("connection to the resolver ended", { client, error: asMeshError(error).message });
  } finally {
    idle[Symbol.dispose]();
    ended.removeEventListener("abort", hangUp);
    socket.destroy();
    await closed;
  }
}

/** All clients with link-local addresses are one: Node looks up the name of their device, which is of another namespace. */
function clientOf(socket: Socket): string {
  try {
    return socket.remoteAddress ?? "";
  } catch {
    return "fe80::";
  }
}
