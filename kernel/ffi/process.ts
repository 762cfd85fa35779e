import { call, libc } from "./system.js";

// Since Linux 5.6; numbers above 424 are the same on every architecture.
const PIDFD_OPEN = 434;
const PIDFD_GETFD = 438;

const syscall = libc.func("long syscall(long, int, int, int)");

/** A descriptor that stands for a process. The caller closes it. */
export function pidfdOpen(pid: number): number {
  return call(`pidfd_open(${pid})`, () => syscall(PIDFD_OPEN, pid, 0, 0));
}

/** Another process's descriptor as one of ours, for the same open file. Needs the right to trace that process. The caller closes it. */
export function pidfdGetfd(pidfd: number, fd: number): number {
  return call("pidfd_getfd", () => syscall(PIDFD_GETFD, pidfd, fd, 0));
}
