import { F_GETFL, F_SETFL, F_SETOWN, F_SETSIG, fcntl, O_ASYNC } from "./ffi/file.js";

const SIGIO = 29;
const drains = new Set<() => void>();
let listening = false;

/**
 * Calls `drain` whenever something can be read from the descriptor, by SIGIO: no thread waits and nobody polls. The signal does not
 * say whose turn it is, so everyone's `drain` is called, and it reads until nothing is left. Dispose before the descriptor is closed.
 */
export function onReadable(fd: number, drain: () => void): Disposable {
  // The handler comes first and stays: without one SIGIO ends the process. It does not keep the process running.
  if (!listening) process.on("SIGIO", drainAll);
  listening = true;
  drains.add(drain);
  const flags = fcntl(fd, F_GETFL);
  fcntl(fd, F_SETOWN, process.pid);
  fcntl(fd, F_SETSIG, SIGIO);
  fcntl(fd, F_SETFL, flags | O_ASYNC);
  drain(); // what came before the signal was asked for
  return {
    [Symbol.dispose]: () => {
      fcntl(fd, F_SETFL, flags & ~O_ASYNC);
      drains.delete(drain);
    },
  };
}

function drainAll(): void {
  for (const drain of drains) drain();
}
