import { errnoOf } from "../ffi/system.js";
import { changeLink, deleteGroup, deleteLink, getLinks, type Link } from "../netlink/link.js";
import { NETLINK_ROUTE, NetlinkSocket } from "../netlink/socket.js";
import { within } from "../netns.js";
import type { Home } from "./home.js";
import { dyingGroup, isOurs } from "./owner.js";

/** Deletes one device at once. Gone already: nothing to do. */
export function removeLink(socket: NetlinkSocket, link: Link): void {
  try {
    socket.request(deleteLink(`delete the device ${link.name}`, link.index));
  } catch (error) {
    if (errnoOf(error) !== "ENODEV") throw error;
  }
}

/**
 * Deletes devices of the mesh namespace together: each one alone makes the kernel wait about 20 ms, a whole group as long as one. It
 * happens in the background, on a socket of its own. What is gone already or not ours is left alone.
 */
export async function removeDevices(home: Home, names: readonly string[]): Promise<void> {
  const links = getLinks(home.meshSocket, names).filter(isOurs);
  if (links.length === 0) return;
  const marks = links.map((link) => changeLink(`mark the device ${link.name}`, link.index, { group: dyingGroup }));
  home.meshSocket.batch(marks);
  using socket = within(home.mesh, () => new NetlinkSocket(NETLINK_ROUTE));
  try {
    await socket.requestInBackground(deleteGroup(`delete ${names.join(", ")}`, dyingGroup));
  } catch (error) {
    if (errnoOf(error) !== "ENODEV") throw error;
  }
}
