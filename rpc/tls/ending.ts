import type { TLSSocket } from "node:tls";
import type { Clock } from "../../core/clock.js";
import { MeshError } from "../../core/error.js";

/** Node's timers cannot wait longer than 24.8 days. */
const longestMs = 86_400_000;

/** Runs `task` at that time (milliseconds since 1970), however far away it is; dispose to forget it. */
export function at(clock: Clock, time: number, task: () => void): Disposable {
  let timer: Disposable;
  const wait = () => {
    const left = time - clock.now();
    timer = clock.after(Math.min(left, longestMs), left > longestMs ? wait : task);
  };
  wait();
  return { [Symbol.dispose]: () => timer[Symbol.dispose]() };
}

/** Disposes it when the connection is closed. */
export function whileOpen(socket: TLSSocket, held: Disposable | undefined): void {
  if (held !== undefined) socket.once("close", () => held[Symbol.dispose]());
}

/** What streams end with whose connection is older than a certificate that it was made with. */
export function expired(): MeshError {
  return new MeshError("expired", "a certificate that this connection was made with has expired; connect again");
}
