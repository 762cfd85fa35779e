import fs from "node:fs";
import { MeshError } from "../core/error.js";
import type { Netns } from "./model.js";
import { changeLink, getLink } from "./netlink/link.js";
import { NETLINK_ROUTE, NetlinkSocket } from "./netlink/socket.js";
import { createNetns, netnsPath, openNetns, within } from "./netns.js";

// A new namespace copies some of the host's settings, so each one that matters is set. Devices of the mesh have no IPv6 of their own
// (no duplicate detection, no multicast reports, no solicitations) until somebody gives them an address.
const settings: readonly (readonly [name: string, value: string])[] = [
  ["ipv4/ip_forward", "0"],
  ["ipv4/conf/all/accept_redirects", "0"],
  ["ipv4/conf/default/accept_redirects", "0"],
  ["ipv4/conf/all/rp_filter", "0"],
  ["ipv4/conf/default/rp_filter", "0"],
  ["ipv6/conf/all/forwarding", "0"],
  ["ipv6/conf/default/forwarding", "0"],
  ["ipv6/conf/default/accept_ra", "0"],
  ["ipv6/conf/default/accept_redirects", "0"],
  ["ipv6/conf/default/addr_gen_mode", "1"],
  ["ipv6/conf/default/router_solicitations", "0"],
  ["ipv6/conf/default/dad_transmits", "0"],
  ["ipv6/conf/default/disable_ipv6", "1"],
];

/** The mesh namespace of that name, made where it is absent, quiet, with its loopback up. Safe to repeat: devices in it keep what they have. */
export function openMesh(name: string): Netns {
  const mesh = existing(name) ?? createNetns(name);
  within(mesh, prepare);
  return mesh;
}

function existing(name: string): Netns | undefined {
  const path = netnsPath(name);
  if (!fs.existsSync(path)) return undefined;
  try {
    return openNetns(path);
  } catch (cause) {
    if (!(cause instanceof MeshError) || cause.code !== "invalid") throw cause;
    fs.rmSync(path); // a name without its namespace, as a killed process or a reboot leaves it
    return undefined;
  }
}

function prepare(): void {
  for (const [name, value] of settings) {
    const file = `/proc/sys/net/${name}`;
    if (fs.existsSync(file)) fs.writeFileSync(file, value);
  }
  using socket = new NetlinkSocket(NETLINK_ROUTE);
  const loopback = getLink(socket, "lo");
  if (loopback !== undefined) socket.request(changeLink("set lo of the mesh namespace up", loopback.index, { up: true }));
}
