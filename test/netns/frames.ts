import { checksum } from "../../kernel/echo.js";
import { close } from "../../kernel/ffi/file.js";
import {
  AF_PACKET,
  bind,
  recv,
  SO_RCVBUFFORCE,
  SOCK_NONBLOCK,
  SOCK_RAW,
  SOL_SOCKET,
  sendTo,
  setOption,
  socket,
} from "../../kernel/ffi/socket.js";
import type { Netns } from "../../kernel/model.js";
import { ipBytes, macBytes } from "../../kernel/netlink/ip.js";
import { within } from "../../kernel/netns.js";
import { until } from "../lib/until.js";
import { indexOf } from "./kernelWorld.js";

const ETH_P_ALL = 0x0003;
export const everyone = "ff:ff:ff:ff:ff:ff";
export const allNodes = "33:33:00:00:00:01";
/** For local experiments (IEEE 802). */
export const experimental = 0x88b5;

/** A pod's device, to send frames that its kernel would not, and to hear all that comes. */
export class Wire implements Disposable {
  readonly #fd: number;
  readonly #address: Buffer;
  readonly #heard: Buffer[] = [];

  constructor(pod: Netns, device: string) {
    this.#address = linkAddress(indexOf(pod, device) ?? 0);
    this.#fd = within(pod, () => socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, ETH_P_ALL << 8));
    setOption(this.#fd, SOL_SOCKET, SO_RCVBUFFORCE, 8 * 1024 * 1024);
    bind(this.#fd, this.#address);
  }

  send(...frames: readonly Buffer[]): void {
    for (const frame of frames) sendTo(this.#fd, frame, this.#address);
  }

  /** Waits for a frame like this. What came meanwhile is kept. */
  async hears(what: string, like: (frame: Buffer) => boolean): Promise<Buffer> {
    return until(what, 2_000, () => this.heard().find(like));
  }

  /** All that came by now. */
  heard(): readonly Buffer[] {
    const buffer = Buffer.alloc(2048);
    for (let length = recv(this.#fd, buffer); length >= 0; length = recv(this.#fd, buffer)) {
      this.#heard.push(Buffer.from(buffer.subarray(0, length)));
    }
    return this.#heard;
  }

  [Symbol.dispose](): void {
    close(this.#fd);
  }
}

/** A frame. */
export function ethernet(destination: string, source: string, type: number, ...payload: readonly Uint8Array[]): Buffer {
  return Buffer.concat([macBytes(destination), macBytes(source), Uint8Array.of(type >> 8, type & 0xff), ...payload]);
}

export function isType(frame: Buffer, type: number): boolean {
  return frame.readUInt16BE(12) === type;
}

/** An ARP message; a request asks for `target`, a reply tells it of the sender. */
export function arp(what: "request" | "reply", sender: { mac: string; ip: string }, target: string): Buffer {
  const operation = Buffer.from(what === "request" ? "0001080006040001" : "0001080006040002", "hex");
  return Buffer.concat([operation, macBytes(sender.mac), ipBytes(sender.ip), Buffer.alloc(6), ipBytes(target)]);
}

/** An IPv4 packet with UDP from and to port 9. */
export function udp4(source: string, destination: string, payload: Uint8Array): Buffer {
  return ip4(source, destination, 17, Buffer.concat([Buffer.from([0, 9, 0, 9, 0, 8 + payload.length, 0, 0]), payload]));
}

export function ip4(source: string, destination: string, protocol: number, payload: Uint8Array): Buffer {
  const start = Buffer.from([0x45, 0, 0, 20 + payload.length, 0, 0, 0, 0, 64, protocol, 0, 0]);
  const header = Buffer.concat([start, ipBytes(source), ipBytes(destination)]);
  header.writeUInt16BE(checksum(header), 10);
  return Buffer.concat([header, payload]);
}

/** An IPv6 packet with an ICMPv6 message, as neighbour discovery needs it. */
export function icmp6(source: string, destination: string, message: Uint8Array): Buffer {
  const [from, to] = [ipBytes(source), ipBytes(destination)];
  const body = Buffer.from(message);
  const pseudo = Buffer.concat([from, to, Uint8Array.of(0, 0, 0, body.length, 0, 0, 0, 58)]);
  body.writeUInt16BE(checksum(Buffer.concat([pseudo, body])), 2);
  return Buffer.concat([Uint8Array.of(0x60, 0, 0, 0, 0, body.length, 58, 255), from, to, body]);
}

/** A packet that opens a TCP connection and asks for segments of that size at the most. `sequence` stands in it. */
export function syn(source: string, destination: string, size: number, sequence: Uint8Array): Buffer {
  const [from, to] = [ipBytes(source), ipBytes(destination)];
  const ports = Uint8Array.of(0xf0, 0, 0, 9);
  const flagsOn = Uint8Array.of(0x60, 0x02, 0xff, 0xff, 0, 0, 0, 0);
  const message = Buffer.concat([ports, sequence.subarray(0, 4), Buffer.alloc(4), flagsOn, Uint8Array.of(2, 4, size >> 8, size & 0xff)]);
  message.writeUInt16BE(checksum(Buffer.concat([from, to, Uint8Array.of(0, message.length, 0, 6), message])), 16);
  if (from.length === 4) return ip4(source, destination, 6, message);
  return Buffer.concat([Uint8Array.of(0x60, 0, 0, 0, 0, message.length, 6, 64), from, to, message]);
}

/** The size of segments that a frame with such a packet asks for; undefined where its checksum is wrong. */
export function segmentSize(frame: Buffer): number | undefined {
  const addresses = isType(frame, 0x0800) ? frame.subarray(26, 34) : frame.subarray(22, 54);
  const message = frame.subarray(isType(frame, 0x0800) ? 34 : 54).subarray(0, 24);
  const sum = checksum(Buffer.concat([addresses, Uint8Array.of(0, message.length, 0, 6), message]));
  return sum === 0 ? message.readUInt16BE(22) : undefined;
}

/** A solicitation (135) or an advertisement (136), as an answer to one, about `target`, with options. */
export function discovery(type: 135 | 136, target: string, ...options: readonly Uint8Array[]): Buffer {
  return Buffer.concat([Uint8Array.of(type, 0, 0, 0, type === 136 ? 0x60 : 0, 0, 0, 0), ipBytes(target), ...options]);
}

/** The option of the sender's link-layer address (1) or the target's (2). */
export function linkLayer(type: 1 | 2, mac: string): Buffer {
  return Buffer.concat([Uint8Array.of(type, 1), macBytes(mac)]);
}

/** A frame with a VLAN tag of 802.1Q, or 802.1ad. */
export function tagged(frame: Buffer, vlan: number, protocol = 0x8100): Buffer {
  const tag = Uint8Array.of(protocol >> 8, protocol & 0xff, vlan >> 8, vlan & 0xff);
  return Buffer.concat([frame.subarray(0, 12), tag, frame.subarray(12)]);
}

/** `struct sockaddr_ll` of a device, for every protocol. */
function linkAddress(index: number): Buffer {
  const bytes = Buffer.alloc(20);
  bytes.writeUInt16LE(AF_PACKET, 0);
  bytes.writeUInt16BE(ETH_P_ALL, 2);
  bytes.writeInt32LE(index, 4);
  return bytes;
}
