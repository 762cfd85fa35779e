import koffi from "koffi";
import { close } from "./ffi/file.js";
import { AF_INET, SOCK_DGRAM, socket } from "./ffi/socket.js";
import { call, libc } from "./ffi/system.js";
import type { Netns } from "./model.js";
import { within } from "./netns.js";

const SIOCETHTOOL = 0x8946;
const ETHTOOL_GRXCSUM = 0x14;
const ETHTOOL_SRXCSUM = 0x15;
const ETHTOOL_GTXCSUM = 0x16;
const ETHTOOL_STXCSUM = 0x17;

const ifreq = koffi.struct({ name: koffi.array("char", 16), value: "void*", rest: koffi.array("uint8", 16) });
const ethtool = libc.func("ioctl", "int", ["int", "ulong", koffi.inout(koffi.pointer(ifreq))]);

/** Whether a device leaves checksums to the one that takes its packets. */
export interface ChecksumOffload {
  readonly rx: boolean;
  readonly tx: boolean;
}

/** Reads it. A device that is not there throws MeshError kernel. */
export function checksumOffload(where: string | Netns, device: string): ChecksumOffload {
  return within(where, () => ({ rx: ask(device, ETHTOOL_GRXCSUM, 0) !== 0, tx: ask(device, ETHTOOL_GTXCSUM, 0) !== 0 }));
}

/** Sets it. Off is for a port whose packets leave through something that does not fill checksums in. */
export function setChecksumOffload(where: string | Netns, device: string, offload: ChecksumOffload): void {
  within(where, () => {
    ask(device, ETHTOOL_SRXCSUM, offload.rx ? 1 : 0);
    ask(device, ETHTOOL_STXCSUM, offload.tx ? 1 : 0);
  });
}

function ask(device: string, command: number, data: number): number {
  const fd = socket(AF_INET, SOCK_DGRAM, 0);
  const value = Buffer.alloc(8);
  value.writeUInt32LE(command, 0);
  value.writeUInt32LE(data, 4);
  try {
    call(`ethtool of ${device}`, () => ethtool(fd, SIOCETHTOOL, { name: device, value, rest: new Uint8Array(16) }));
    return value.readUInt32LE(4);
  } finally {
    close(fd);
  }
}
