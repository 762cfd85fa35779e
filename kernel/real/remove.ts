import { errnoOf } from "../ffi/system.js";
import { deleteLink, type Link } from "../netlink/link.js";
import type { NetlinkSocket } from "../netlink/socket.js";

/** Gone already: nothing to do. */
export function removeLink(socket: NetlinkSocket, link: Link): void {
  try {
    socket.request(deleteLink(`delete the device ${link.name}`, link.index));
  } catch (error) {
    if (errnoOf(error) !== "ENODEV") throw error;
  }
}
