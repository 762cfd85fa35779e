import os from "node:os";
import { systemFailure } from "../ffi/system.js";
import { encodeMessage, NLM_F_REQUEST } from "./message.js";
import { batchSize, type NetlinkSocket } from "./socket.js";

const RTM_GETSTATS = 94;
const IFLA_STATS_LINK_64 = 1;
/** `struct if_stats_msg`: family, padding, index, and which statistics. */
const request = { size: 28, index: 20 };
/** The same header and that of the one attribute; what follows is a `struct rtnl_link_stats64`. */
const statsOffset = 16;

/** The counters of one device: number `at` of those that were asked for. `count(n)` is the n-th number of `struct rtnl_link_stats64`. */
export type SeenStats = (at: number, count: (n: number) => number) => void;

/**
 * Shows the counters of those devices that are there, in any order. It is all that is asked of the kernel, and nothing is kept of it: to
 * read a whole link for them takes fifteen times as long, and leaves 20 KB of garbage for each.
 */
export function linkStats(socket: NetlinkSocket, indexes: readonly number[], see: SeenStats): void {
  for (let from = 0; from < indexes.length; from += batchSize) {
    const some = indexes.slice(from, from + batchSize);
    socket.glance("read the counters of devices", requests(some), request.size, (at, errno, bytes, body) => {
      if (errno === os.constants.errno.ENODEV) return;
      if (errno !== 0) throw systemFailure("read the counters of a device", errno);
      see(from + at, (n) => numberAt(bytes, body + statsOffset + n * 8));
    });
  }
}

const blank = Buffer.alloc(12);
blank.writeUInt32LE(1 << (IFLA_STATS_LINK_64 - 1), 8);
const template = encodeMessage(RTM_GETSTATS, NLM_F_REQUEST, 0, blank);

function requests(indexes: readonly number[]): Buffer {
  const bytes = Buffer.allocUnsafe(indexes.length * request.size);
  indexes.forEach((index, at) => {
    bytes.set(template, at * request.size);
    bytes.writeUInt32LE(index, at * request.size + request.index);
  });
  return bytes;
}

/** Exact up to 2^53. */
function numberAt(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32;
}
