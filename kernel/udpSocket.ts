import { boundSocket, isLinkLocal, isOnMany, type SocketPlace } from "./boundSocket.js";
import { unanswerable } from "./echo.js";
import { close } from "./ffi/file.js";
import { MSG_DONTWAIT, receiveMessage, sendMessage, setOption } from "./ffi/socket.js";
import { errnoOf } from "./ffi/system.js";
import type { Netns } from "./model.js";
import { ipBytes, ipText } from "./netlink/ip.js";
import { onReadable } from "./signal.js";

const SOL_IPV6 = 41;
const IPV6_RECVPKTINFO = 49;
/** As many as are taken before somebody else has a turn. */
const atOnce = 64;
const room = Buffer.alloc(65_536);

/** A packet that came. */
export interface Datagram {
  readonly bytes: Buffer;
  /** The sender's address; a link-local one with the number of the device in that namespace, as `fe80::5%3`. */
  readonly from: string;
  /** Sends to where it came from, out of the address that it came to. False when the way there refuses it. */
  reply(bytes: Uint8Array): boolean;
}

/**
 * A UDP socket in another network namespace. Not node:dgram: that writes senders down by the names of devices, which it looks up in the
 * namespace of this process, and answers from whatever address the kernel takes for a socket that is bound to none.
 */
export class UdpSocket implements Disposable {
  readonly #fd: number;
  readonly #only: Buffer | undefined;
  readonly #received: (datagram: Datagram) => void;
  readonly #listening: Disposable;
  #closed = false;

  constructor(where: string | Netns, place: SocketPlace, received: (datagram: Datagram) => void) {
    this.#fd = boundSocket(where, "udp", place);
    this.#received = received;
    this.#only = isOnMany(place) ? ipBytes(place.address) : undefined;
    if (this.#only !== undefined) setOption(this.#fd, SOL_IPV6, IPV6_RECVPKTINFO, 1);
    this.#listening = onReadable(this.#fd, () => this.#drain());
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#listening[Symbol.dispose]();
    close(this.#fd);
  }

  #drain(): void {
    for (let taken = 0; taken < atOnce; taken++) {
      if (this.#closed) return;
      const message = receiveMessage(this.#fd, room, MSG_DONTWAIT);
      if (message === undefined) return;
      const { length, address, control } = message;
      // A message's head is 16 bytes, and this socket gets no other kind: the address that it came to, and the device.
      if (this.#only !== undefined && !this.#only.equals(control.subarray(16, 32))) continue;
      const reply = (bytes: Uint8Array) => this.#send(bytes, { address, control });
      this.#received({ bytes: Buffer.from(room.subarray(0, length)), from: senderOf(address), reply });
    }
    setImmediate(() => this.#drain());
  }

  /** With what the kernel told of the way here, which is the way back. */
  #send(bytes: Uint8Array, to: { readonly address: Buffer; readonly control: Buffer }): boolean {
    if (this.#closed) return false;
    try {
      sendMessage(this.#fd, bytes, to, MSG_DONTWAIT);
      return true;
    } catch (error) {
      if (unanswerable.has(errnoOf(error) ?? "")) return false;
      throw error;
    }
  }
}

/** Of `struct sockaddr_in` or `sockaddr_in6`. */
function senderOf(sender: Buffer): string {
  if (sender.length < 28) return ipText(sender.subarray(4, 8));
  const address = sender.subarray(8, 24);
  return isLinkLocal(address) ? `${ipText(address)}%${sender.readUInt32LE(24)}` : ipText(address);
}
