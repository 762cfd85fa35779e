import { MeshError } from "../core/error.js";
import { close, interfaceIndex } from "./ffi/file.js";
import { AF_INET, AF_INET6, bind, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET, setOption, socket } from "./ffi/socket.js";
import { errnoOf } from "./ffi/system.js";
import type { Netns } from "./model.js";
import { ipBytes } from "./netlink/ip.js";
import { within } from "./netns.js";

const SO_REUSEADDR = 2;
const SOL_IPV6 = 41;
const IPV6_V6ONLY = 26;

/** Where a socket listens. */
export interface SocketPlace {
  readonly address: string;
  readonly port: number;
  /** The device that a link-local address is on; without it, every one that has it. */
  readonly device?: string | undefined;
}

/**
 * A UDP or TCP socket in a network namespace, bound there: made inside, used from outside. The caller closes it, or `listen({ fd })` of
 * node:net does; till then it keeps the namespace alive. An address that is not there is "kernel". One that is on several devices is not
 * bound to any, and so takes what comes to other addresses too.
 */
export function boundSocket(where: string | Netns, kind: "udp" | "tcp", place: SocketPlace): number {
  const address = ipBytes(place.address);
  return within(where, () => {
    const family = address.length === 4 ? AF_INET : AF_INET6;
    const bytes = socketAddress(address, place);
    const fd = socket(family, kind === "udp" ? SOCK_DGRAM : SOCK_STREAM, 0);
    try {
      // What was connected to an earlier process must not keep this one from the port.
      if (kind === "tcp") setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
      if (family === AF_INET6) setOption(fd, SOL_IPV6, IPV6_V6ONLY, 1);
      bind(fd, bytes);
      return fd;
    } catch (cause) {
      close(fd);
      throw failed(where, kind, place, cause);
    }
  });
}

/** Whether it is bound to no address, because it is on several devices. */
export function isOnMany({ address, device }: SocketPlace): boolean {
  return device === undefined && isLinkLocal(ipBytes(address));
}

/** fe80::/10 */
export function isLinkLocal(address: Uint8Array): boolean {
  return address.length === 16 && address[0] === 0xfe && ((address[1] ?? 0) & 0xc0) === 0x80;
}

/** `struct sockaddr_in` or `sockaddr_in6`. */
function socketAddress(address: Buffer, place: SocketPlace): Buffer {
  const four = address.length === 4;
  const bytes = Buffer.alloc(four ? 16 : 28);
  bytes.writeUInt16LE(four ? AF_INET : AF_INET6, 0);
  bytes.writeUInt16BE(place.port, 2);
  if (isOnMany(place)) return bytes;
  bytes.set(address, four ? 4 : 8);
  if (place.device === undefined || !isLinkLocal(address)) return bytes;
  const index = interfaceIndex(place.device);
  if (index === 0) throw new MeshError("not-found", `there is no device ${place.device} for ${place.address} in its network namespace`);
  bytes.writeUInt32LE(index, 24);
  return bytes;
}

function failed(where: string | Netns, kind: "udp" | "tcp", { address, port }: SocketPlace, cause: unknown): MeshError {
  const namespace = typeof where === "string" ? where : where.path;
  const why = errnoOf(cause) ?? String(cause);
  return new MeshError("kernel", `no ${kind} socket can listen at ${address} port ${port} in ${namespace}: ${why}`, { cause });
}
