import { changeLink, type Link, type LinkSettings } from "../netlink/link.js";
import type { NetlinkSocket } from "../netlink/socket.js";

/** Sends only what differs, in one message: neighbours go with a MAC address that is set, also where it is the same. */
export function change(socket: NetlinkSocket, what: string, link: Link, wanted: LinkSettings): void {
  const keys = (Object.keys(wanted) as (keyof LinkSettings & keyof Link)[]).filter((key) => wanted[key] !== link[key]);
  if (keys.length === 0) return;
  const settings = Object.fromEntries(keys.map((key) => [key, wanted[key]])) as LinkSettings;
  socket.request(changeLink(`set ${keys.join(", ")} of ${what}`, link.index, settings));
}
