import os from "node:os";
import koffi from "koffi";
import { MeshError } from "../../core/error.js";

/** What the C library said: `errno` as a number and by name. It is the cause of every MeshError of this folder. */
export class SystemError extends Error {
  readonly errno: number;
  readonly code: string;

  constructor(errno: number, detail = "") {
    const code = errnoName(errno);
    super(detail === "" ? code : `${code} (${detail})`);
    this.name = "SystemError";
    this.errno = errno;
    this.code = code;
  }
}

/** The C library that this process has loaded already, so there is no name of a file to guess. */
export const libc = koffi.load(null);

const names = new Map<number, string>(Object.entries(os.constants.errno).map(([name, value]) => [value, name]));
// Node lacks the ones that the network stack likes to give.
const more = {
  ENOTUNIQ: 76,
  ESHUTDOWN: 108,
  EHOSTDOWN: 112,
  EPFNOSUPPORT: 96,
  ENOBUFS: 105,
  ESOCKTNOSUPPORT: 94,
  EADDRNOTAVAIL: 99,
  ENOTCONN: 107,
};
for (const [name, value] of Object.entries(more)) names.set(value, name);
names.set(os.constants.errno.EAGAIN, "EAGAIN");
names.set(os.constants.errno.EOPNOTSUPP, "EOPNOTSUPP");

/** `2` -> `ENOENT`. */
export function errnoName(errno: number): string {
  return names.get(errno) ?? `errno ${errno}`;
}

/** The failure of `what` as ours: code "kernel", message `what: ENOENT`, with a `SystemError` as its cause. */
export function systemFailure(what: string, errno: number = koffi.errno(), detail = ""): MeshError {
  const cause = new SystemError(errno, detail);
  return new MeshError("kernel", `${what}: ${cause.message}`, { cause });
}

/** The name of the errno behind an error, as `ENOENT`, also where it is a cause; undefined when there is none. */
export function errnoOf(error: unknown): string | undefined {
  if (error instanceof SystemError) return error.code;
  return error instanceof Error && error.cause !== undefined ? errnoOf(error.cause) : undefined;
}

/** Calls until the result is no EINTR (signals are common here: events come as SIGIO), and throws on -1. */
export function call(what: string, invoke: () => number): number {
  for (;;) {
    const result = invoke();
    if (result >= 0) return result;
    const errno = koffi.errno();
    if (errno !== os.constants.errno.EINTR) throw systemFailure(what, errno);
  }
}
