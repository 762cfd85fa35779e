import os from "node:os";
import koffi from "koffi";
import { call, libc, systemFailure } from "./system.js";

/** Numbers of Linux' socket interface that Node does not know. */
export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const AF_PACKET = 17;
export const AF_BRIDGE = 7;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;
export const SOL_SOCKET = 1;
export const SO_RCVBUF = 8;
export const SO_RCVTIMEO = 20;
export const SO_BINDTODEVICE = 25;
export const SO_SNDBUFFORCE = 32;
export const SO_RCVBUFFORCE = 33;
export const SO_NETNS_COOKIE = 71;
export const MSG_TRUNC = 0x20;
export const MSG_DONTWAIT = 0x40;

const iovec = koffi.struct({ base: "void*", len: "size_t" });
const msghdr = koffi.struct({
  name: "void*",
  namelen: "uint32",
  iov: koffi.pointer(iovec),
  iovlen: "size_t",
  control: "void*",
  controllen: "size_t",
  flags: "int",
});

const c = {
  socket: libc.func("int socket(int, int, int)"),
  bind: libc.func("int bind(int, void*, uint32)"),
  connect: libc.func("int connect(int, void*, uint32)"),
  send: libc.func("long send(int, void*, size_t, int)"),
  sendto: libc.func("long sendto(int, void*, size_t, int, void*, uint32)"),
  recv: libc.func("long recv(int, void*, size_t, int)"),
  recvmsg: libc.func("recvmsg", "long", ["int", koffi.inout(koffi.pointer(msghdr)), "int"]),
  sendmsg: libc.func("sendmsg", "long", ["int", koffi.pointer(msghdr), "int"]),
  getsockopt: libc.func("int getsockopt(int, int, int, void*, _Inout_ uint32*)"),
  setsockopt: libc.func("int setsockopt(int, int, int, void*, uint32)"),
};

/** Opens a socket in the network namespace of the moment, always with CLOEXEC. The caller closes it. */
export function socket(domain: number, type: number, protocol: number): number {
  return call(`socket(${domain}, ${type}, ${protocol})`, () => c.socket(domain, type | SOCK_CLOEXEC, protocol));
}

/** `address` is a whole sockaddr. */
export function bind(fd: number, address: Uint8Array): void {
  call("bind", () => c.bind(fd, address, address.length));
}

/** `address` is a whole sockaddr. */
export function connect(fd: number, address: Uint8Array): void {
  call("connect", () => c.connect(fd, address, address.length));
}

/** Bytes sent. */
export function send(fd: number, bytes: Uint8Array, flags = 0): number {
  return call("send", () => c.send(fd, bytes, bytes.length, flags));
}

/** Sends from a thread of the pool, for what keeps the kernel busy. The descriptor must stay open until it is done. */
export function sendInBackground(fd: number, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    c.send.async(fd, bytes, bytes.length, 0, (error: Error | null, sent: number) => {
      // The thread's errno is lost, and a netlink socket tells of refusals by messages, not here.
      if (error === null && sent === bytes.length) resolve();
      else reject(systemFailure("send from the thread pool", os.constants.errno.EIO, error?.message));
    });
  });
}

/** Bytes sent. `address` is a whole sockaddr. */
export function sendTo(fd: number, bytes: Uint8Array, address: Uint8Array, flags = 0): number {
  return call("sendto", () => c.sendto(fd, bytes, bytes.length, flags, address, address.length));
}

/** Bytes received into `buffer`; -1 when nothing is there on a non-blocking read or the receive timeout is over. */
export function recv(fd: number, buffer: Uint8Array, flags = 0): number {
  return callOrNothing("recv", () => c.recv(fd, buffer, buffer.length, flags));
}

/** What `receiveMessage` found: bytes in `data`, and control messages in `control`. */
export interface Received {
  readonly length: number;
  readonly address: Buffer;
  readonly control: Buffer;
  readonly truncated: boolean;
}

/** Receives with the sender's address and control messages; undefined when nothing is there. */
export function receiveMessage(fd: number, data: Uint8Array, flags = 0): Received | undefined {
  const name = Buffer.alloc(128);
  const control = Buffer.alloc(512);
  const header = {
    name,
    namelen: name.length,
    iov: [{ base: data, len: data.length }],
    iovlen: 1,
    control,
    controllen: control.length,
    flags: 0,
  };
  const length = callOrNothing("recvmsg", () => c.recvmsg(fd, header, flags));
  if (length < 0) return undefined;
  return {
    length,
    address: name.subarray(0, header.namelen),
    control: control.subarray(0, header.controllen),
    truncated: (header.flags & MSG_TRUNC) !== 0,
  };
}

/** Bytes sent, to a whole sockaddr and with control messages, as `receiveMessage` gave both. */
export function sendMessage(fd: number, bytes: Uint8Array, to: Pick<Received, "address" | "control">, flags = 0): number {
  const header = {
    ...{ name: to.address, namelen: to.address.length, iov: [{ base: bytes, len: bytes.length }], iovlen: 1 },
    ...{ control: to.control.length === 0 ? null : to.control, controllen: to.control.length, flags: 0 },
  };
  return call("sendmsg", () => c.sendmsg(fd, header, flags));
}

/** Sets an option to a 32 bit number or to the given bytes. */
export function setOption(fd: number, level: number, option: number, value: number | Uint8Array): void {
  const bytes = typeof value === "number" ? Buffer.from(Int32Array.of(value).buffer) : value;
  call(`setsockopt(${level}, ${option})`, () => c.setsockopt(fd, level, option, bytes, bytes.length));
}

/** The option's bytes, at most `size`. */
export function getOption(fd: number, level: number, option: number, size: number): Buffer {
  const bytes = Buffer.alloc(size);
  const length = [size];
  call(`getsockopt(${level}, ${option})`, () => c.getsockopt(fd, level, option, bytes, length));
  return bytes.subarray(0, length[0]);
}

/** A `struct timeval`, for SO_RCVTIMEO. */
export function timeval(ms: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeBigInt64LE(BigInt(Math.floor(ms / 1000)), 0);
  bytes.writeBigInt64LE(BigInt((ms % 1000) * 1000), 8);
  return bytes;
}

function callOrNothing(what: string, invoke: () => number): number {
  for (;;) {
    const result = invoke();
    if (result >= 0) return result;
    const errno = koffi.errno();
    if (errno === os.constants.errno.EAGAIN) return -1;
    if (errno !== os.constants.errno.EINTR) throw systemFailure(what, errno);
  }
}
