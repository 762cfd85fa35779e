import fs from "node:fs";
import { MeshError } from "../core/error.js";
import type { Netns } from "./model.js";
import { changeLink, getLink } from "./netlink/link.js";
import { NETLINK_ROUTE, NetlinkSocket } from "./netlink/socket.js";
import { createNetns, netnsPath, openNetns, within } from "./netns.js";

/** A setting by its place under /proc/sys/net. One that this kernel does not have is passed over. */
export type NetSetting = readonly [name: string, value: string];

/** The namespace of that name, made where it is absent, with these settings and its loopback up. Devices in it keep what they have. */
export function ensureNetns(name: string, settings: readonly NetSetting[]): Netns {
  const netns = existing(name) ?? createNetns(name);
  within(netns, () => prepare(name, settings));
  return netns;
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

function prepare(name: string, settings: readonly NetSetting[]): void {
  for (const [setting, value] of settings) {
    const file = `/proc/sys/net/${setting}`;
    if (fs.existsSync(file)) fs.writeFileSync(file, value);
  }
  using socket = new NetlinkSocket(NETLINK_ROUTE);
  const loopback = getLink(socket, "lo");
  if (loopback !== undefined) socket.request(changeLink(`set lo of ${name} up`, loopback.index, { up: true }));
}
