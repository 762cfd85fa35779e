import { randomBytes } from "node:crypto";
import { MeshError } from "../core/error.js";
import { close } from "./ffi/file.js";
import {
  AF_INET,
  AF_INET6,
  bind,
  connect,
  MSG_DONTWAIT,
  recv,
  SO_BINDTODEVICE,
  SOCK_RAW,
  SOL_SOCKET,
  send,
  setOption,
  socket,
} from "./ffi/socket.js";
import { errnoOf } from "./ffi/system.js";
import type { Netns } from "./model.js";
import { ipBytes } from "./netlink/ip.js";
import { within } from "./netns.js";
import { onReadable } from "./signal.js";

const IPPROTO_ICMP = 1;
const IPPROTO_ICMPV6 = 58;
const SOL_IP = 0;
const SOL_IPV6 = 41;
const SOL_RAW = 255;
const ICMP_FILTER = 1;
const ICMP6_FILTER = 1;
const IP_MTU_DISCOVER = 10;
const IPV6_MTU_DISCOVER = 23;
const IPV6_DONTFRAG = 62;
const PMTUDISC_PROBE = 3;
const icmpHeader = 8;
const tokenLength = 8;
const received = Buffer.alloc(65_536);

/** Between whom echoes go. */
export interface EchoEnds {
  readonly source: string;
  readonly destination: string;
  /** Only over this device. */
  readonly device?: string | undefined;
  /** Never fragmented on the way, and whatever the kernel believes of the path. */
  readonly dontFragment?: boolean | undefined;
}

interface Family {
  readonly domain: number;
  readonly ipHeader: number;
  readonly request: number;
  readonly reply: number;
}

const families = {
  4: { domain: AF_INET, ipHeader: 20, request: 8, reply: 0 },
  16: { domain: AF_INET6, ipHeader: 40, request: 128, reply: 129 },
} as const satisfies Record<number, Family>;

/**
 * A raw ICMP socket in a network namespace: made inside, used from outside. It keeps the namespace alive, so it is closed as soon as
 * the answer is known. A source address that is not there throws MeshError kernel, a namespace that is gone "netns-gone".
 */
export class EchoSocket implements Disposable {
  readonly #fd: number;
  readonly #family: Family;
  readonly #token = randomBytes(tokenLength);
  readonly #id = randomBytes(2).readUInt16BE();
  #listening: Disposable | undefined;

  constructor(where: string | Netns, ends: EchoEnds) {
    this.#family = familyOf(ends);
    this.#fd = within(where, () => openSocket(this.#family, ends));
  }

  /** Calls back with the number of each echo that was answered, at once. For few sockets at a time: each answer wakes all of them. */
  listen(answered: (sequence: number) => void): void {
    this.#listening = onReadable(this.#fd, () => this.take().forEach(answered));
  }

  /** The numbers of the echoes that were answered since it was last asked. */
  take(): number[] {
    const sequences: number[] = [];
    for (let length = receive(this.#fd); length !== undefined; length = receive(this.#fd)) {
      const sequence = this.#sequenceOf(received.subarray(0, length));
      if (sequence !== undefined) sequences.push(sequence);
    }
    return sequences;
  }

  /** Sends an echo request as an IP packet of `size` bytes, headers included. False when the way out refuses it. */
  send(sequence: number, size: number = this.#family.ipHeader + icmpHeader + tokenLength): boolean {
    const packet = Buffer.alloc(Math.max(size - this.#family.ipHeader, icmpHeader + tokenLength));
    packet[0] = this.#family.request;
    packet.writeUInt16BE(this.#id, 4);
    packet.writeUInt16BE(sequence & 0xffff, 6);
    packet.set(this.#token, icmpHeader);
    // For ICMPv6 the kernel fills the checksum in.
    if (this.#family.domain === AF_INET) packet.writeUInt16BE(checksum(packet), 2);
    try {
      send(this.#fd, packet, MSG_DONTWAIT);
      return true;
    } catch (error) {
      if (unanswerable.has(errnoOf(error) ?? "")) return false;
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.#listening?.[Symbol.dispose]();
    close(this.#fd);
  }

  #sequenceOf(bytes: Buffer): number | undefined {
    // A raw IPv4 socket shows the IP header, an IPv6 one does not.
    const packet = this.#family.domain === AF_INET ? bytes.subarray(((bytes[0] ?? 0) & 0x0f) * 4) : bytes;
    if (packet.length < icmpHeader + tokenLength || packet[0] !== this.#family.reply) return undefined;
    const ours = packet.readUInt16BE(4) === this.#id && packet.subarray(icmpHeader, icmpHeader + tokenLength).equals(this.#token);
    return ours ? packet.readUInt16BE(6) : undefined;
  }
}

/** What a path that does not work answers to a send; anything else is a mistake of ours. */
export const unanswerable: ReadonlySet<string> = new Set([
  "EMSGSIZE",
  "ENETUNREACH",
  "EHOSTUNREACH",
  "ENETDOWN",
  "EHOSTDOWN",
  "ECONNREFUSED",
  "ENOBUFS",
  "EAGAIN",
  "EPERM",
  "EACCES",
  "EDESTADDRREQ",
  "ENOKEY",
  "EPROTO",
]);

function familyOf({ source, destination }: EchoEnds): Family {
  const [a, b] = [ipBytes(source).length, ipBytes(destination).length];
  if (a !== b) throw new MeshError("invalid", `both ends of an echo must be of one family, got ${source} and ${destination}`);
  return a === 4 ? families[4] : families[16];
}

function openSocket(family: Family, ends: EchoEnds): number {
  const four = family.domain === AF_INET;
  const fd = socket(family.domain, SOCK_RAW, four ? IPPROTO_ICMP : IPPROTO_ICMPV6);
  try {
    setOption(fd, four ? SOL_RAW : IPPROTO_ICMPV6, four ? ICMP_FILTER : ICMP6_FILTER, onlyReplies(four));
    if (ends.device !== undefined) setOption(fd, SOL_SOCKET, SO_BINDTODEVICE, Buffer.from(`${ends.device}\0`));
    if (ends.dontFragment) {
      setOption(fd, four ? SOL_IP : SOL_IPV6, four ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER, PMTUDISC_PROBE);
      if (!four) setOption(fd, SOL_IPV6, IPV6_DONTFRAG, 1);
    }
    bind(fd, socketAddress(family, ends.source));
    connect(fd, socketAddress(family, ends.destination));
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

/** A bit set means: do not show this type. */
function onlyReplies(four: boolean): Buffer {
  const filter = Buffer.alloc(four ? 4 : 32, 0xff);
  const type = four ? families[4].reply : families[16].reply;
  const word = (type >> 5) * 4;
  filter.writeUInt32LE(~(1 << (type & 31)) >>> 0, word);
  return filter;
}

/** `struct sockaddr_in` or `sockaddr_in6` without a port. */
function socketAddress(family: Family, address: string): Buffer {
  const four = family.domain === AF_INET;
  const bytes = Buffer.alloc(four ? 16 : 28);
  bytes.writeUInt16LE(family.domain, 0);
  bytes.set(ipBytes(address), four ? 4 : 8);
  return bytes;
}

/** Bytes waiting in `received`; undefined when there are none. An ICMP error that came for the socket is passed over. */
function receive(fd: number): number | undefined {
  for (;;) {
    try {
      const length = recv(fd, received, MSG_DONTWAIT);
      return length < 0 ? undefined : length;
    } catch (error) {
      if (!unanswerable.has(errnoOf(error) ?? "")) throw error;
    }
  }
}

/** The Internet checksum (RFC 1071). */
export function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += ((bytes[at] ?? 0) << 8) + (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
