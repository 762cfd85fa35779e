import { call, libc } from "./system.js";

export const CLONE_NEWNET = 0x40000000;
export const MS_REC = 0x4000;
export const MS_BIND = 0x1000;
export const MS_SHARED = 1 << 20;
export const MNT_DETACH = 2;
export const F_GETFL = 3;
export const F_SETFL = 4;
export const F_SETOWN = 8;
export const F_SETSIG = 10;
export const O_NONBLOCK = 0o4000;
export const O_ASYNC = 0o20000;

const c = {
  close: libc.func("int close(int)"),
  read: libc.func("long read(int, void*, size_t)"),
  write: libc.func("long write(int, void*, size_t)"),
  fcntl: libc.func("int fcntl(int, int, ...)"),
  ioctl: libc.func("int ioctl(int, ulong, ...)"),
  setns: libc.func("int setns(int, int)"),
  unshare: libc.func("int unshare(int)"),
  mount: libc.func("int mount(const char*, const char*, const char*, ulong, void*)"),
  umount2: libc.func("int umount2(const char*, int)"),
  ifNameToIndex: libc.func("uint if_nametoindex(const char*)"),
};

/** Closes any descriptor, also one that did not come from `node:fs`. */
export function close(fd: number): void {
  call("close", () => c.close(fd));
}

/** Bytes read into `buffer`. */
export function read(fd: number, buffer: Uint8Array): number {
  return call("read", () => c.read(fd, buffer, buffer.length));
}

/** Bytes written. */
export function write(fd: number, bytes: Uint8Array): number {
  return call("write", () => c.write(fd, bytes, bytes.length));
}

/** fcntl(2) with a number as argument. */
export function fcntl(fd: number, command: number, argument = 0): number {
  return call(`fcntl(${command})`, () => c.fcntl(fd, command, "int", argument));
}

/** ioctl(2) on a structure that is read and written in place. */
export function ioctl(what: string, fd: number, request: number, structure: Uint8Array): number {
  return call(what, () => c.ioctl(fd, request, "void*", structure));
}

/** Moves the calling thread. Use `within` of kernel/netns.ts, which finds the way back. */
export function setns(fd: number, type: number): void {
  call("setns", () => c.setns(fd, type));
}

export function unshare(flags: number): void {
  call("unshare", () => c.unshare(flags));
}

export function mount(source: string, target: string, type: string, flags: number): void {
  call(`mount ${target}`, () => c.mount(source, target, type, flags, null));
}

export function unmount(target: string, flags: number): void {
  call(`umount ${target}`, () => c.umount2(target, flags));
}

/** The index of a device in the namespace of the moment; 0 when there is none of that name. */
export function interfaceIndex(name: string): number {
  return c.ifNameToIndex(name);
}
