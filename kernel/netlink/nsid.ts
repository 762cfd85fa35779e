import { parseAttributes, readI32, u32 } from "./attributes.js";
import type { NetlinkSocket } from "./socket.js";

const RTM_GETNSID = 90;
const NETNSA_NSID = 1;
const NETNSA_FD = 3;

/** The number that the socket's namespace has for another one, given by a descriptor; undefined when it has none yet. */
export function netnsId(socket: NetlinkSocket, fd: number): number | undefined {
  const body = Buffer.concat([Buffer.alloc(4), u32(NETNSA_FD, fd)]);
  const [answer] = socket.request({ what: "read the number of a network namespace", type: RTM_GETNSID, body });
  const id = answer === undefined ? undefined : readI32(parseAttributes(answer.subarray(4)), NETNSA_NSID);
  return id === undefined || id < 0 ? undefined : id;
}
