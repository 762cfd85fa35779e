import type { Netns } from "./model.js";
import { ensureNetns, type NetSetting } from "./namespace.js";

// A new namespace copies some of the host's settings, so each one that matters is set. Devices of the mesh have no IPv6 of their own
// (no duplicate detection, no multicast reports, no solicitations) until somebody gives them an address.
const settings: readonly NetSetting[] = [
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
  return ensureNetns(name, settings);
}
