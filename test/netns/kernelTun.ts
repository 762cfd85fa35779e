import fs from "node:fs";
import { F_GETFL, F_SETFL, fcntl, ioctl, O_NONBLOCK, read, write } from "../../kernel/ffi/file.js";
import { errnoOf } from "../../kernel/ffi/system.js";
import type { Netns } from "../../kernel/model.js";
import { within } from "../../kernel/netns.js";
import { onReadable } from "../../kernel/signal.js";
import { ip } from "./kernelWorld.js";

const TUNSETIFF = 0x400454ca;
const IFF_TUN = 0x0001;
const IFF_NO_PI = 0x1000;

/** A device without a link layer, as WireGuard's is: a TUN device whose packets come to this process. Up. */
export class Tun implements Disposable {
  readonly fd: number;
  /** Packets that came out of it. */
  passed = 0;

  constructor(netns: Netns, name: string, mtu: number) {
    this.fd = within(netns, () => open(name));
    ip(netns, "link", "set", name, "mtu", String(mtu), "up");
  }

  [Symbol.dispose](): void {
    fs.closeSync(this.fd);
  }
}

/** Carries packets between two devices, as a tunnel would. */
export function joinTuns(one: Tun, two: Tun): Disposable {
  const listeners = [onReadable(one.fd, () => carry(one, two)), onReadable(two.fd, () => carry(two, one))];
  return {
    [Symbol.dispose]: () => {
      for (const listener of listeners) listener[Symbol.dispose]();
    },
  };
}

const buffer = Buffer.alloc(65536);

function carry(from: Tun, to: Tun): void {
  for (;;) {
    const length = readOrNothing(from.fd);
    if (length === 0) return;
    from.passed++;
    write(to.fd, buffer.subarray(0, length));
  }
}

function readOrNothing(fd: number): number {
  try {
    return read(fd, buffer);
  } catch (error) {
    if (errnoOf(error) === "EAGAIN") return 0;
    throw error;
  }
}

function open(name: string): number {
  const fd = fs.openSync("/dev/net/tun", "r+");
  const request = Buffer.alloc(40);
  request.write(name);
  request.writeUInt16LE(IFF_TUN | IFF_NO_PI, 16);
  ioctl(`make the TUN device ${name}`, fd, TUNSETIFF, request);
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  return fd;
}
