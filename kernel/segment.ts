import fs from "node:fs";
import path from "node:path";
import type { Netns, SegmentLayer } from "./model.js";
import { ensureNetns, type NetSetting } from "./namespace.js";
import { netnsPath, removeNetns } from "./netns.js";
import { writeSegmentRules } from "./segmentRules.js";

// A new namespace copies some of the host's settings, so each one that matters is set. "all" and a device's own value are joined in a
// different way for each: the larger counts for rp_filter, either for redirects that are sent, both for IPv4 source routes.
const both: readonly NetSetting[] = [
  ...onAllAndNew("ipv4", {
    ...{ rp_filter: "1", accept_local: "0", accept_redirects: "0", secure_redirects: "0", send_redirects: "0" },
    ...{ accept_source_route: "0", route_localnet: "0", proxy_arp: "0", log_martians: "0" },
  }),
  ["ipv4/icmp_echo_ignore_all", "0"],
  ...onAllAndNew("ipv6", { accept_ra: "0", accept_redirects: "0", accept_source_route: "-1" }),
  ["ipv6/conf/default/addr_gen_mode", "1"],
  ["ipv6/conf/default/router_solicitations", "0"],
  ["ipv6/conf/default/dad_transmits", "0"],
  ["ipv6/conf/default/accept_dad", "0"],
  ["ipv6/icmp/echo_ignore_all", "0"],
];

const settings: Readonly<Record<SegmentLayer, readonly NetSetting[]>> = {
  l3: [
    ["ipv4/ip_forward", "1"], // the first, because it resets others
    ...both,
    ...onAllAndNew("ipv6", { disable_ipv6: "0" }),
    ["ipv6/conf/all/forwarding", "1"],
    // Several ways to one place are used by flow.
    ["ipv4/fib_multipath_hash_policy", "1"],
    ["ipv6/fib_multipath_hash_policy", "1"],
    // Every kind of error is limited but "packet too big", on which the way of large packets hangs. IPv4 never limits its sibling.
    ["ipv6/icmp/ratemask", "0-1,3-127"],
  ],
  l2: [
    ["ipv4/ip_forward", "0"],
    ...both,
    ["ipv6/conf/all/forwarding", "0"],
    // Ports say nothing of their own; a bridge that gets an address gets IPv6 with it.
    ["ipv6/conf/default/disable_ipv6", "1"],
    // What is switched does not pass the rules for what is routed.
    ["bridge/bridge-nf-call-iptables", "0"],
    ["bridge/bridge-nf-call-ip6tables", "0"],
    ["bridge/bridge-nf-call-arptables", "0"],
  ],
};

/** The namespace of a segment with its settings and rules, made where it is absent. Safe to repeat: devices in it keep what they have. */
export function openSegmentNetns(name: string, layer: SegmentLayer): Netns {
  const netns = ensureNetns(name, settings[layer]);
  writeSegmentRules(netns, layer);
  return netns;
}

/** Takes a segment's namespace away with all in it. Fine to call twice. */
export function removeSegmentNetns(name: string): void {
  removeNetns(name);
}

/** How the names of the namespaces of a node's segments begin, by the name of its mesh namespace: `isthmus-mesh`, `isthmus-seg-plant`. */
export function segmentPrefix(mesh: string): string {
  return `${mesh.replace(/-?mesh$/, "")}-seg-`;
}

/** The names of the namespaces that begin so. */
export function listSegmentNetns(prefix: string): string[] {
  const folder = path.dirname(netnsPath(prefix));
  if (!fs.existsSync(folder)) return [];
  return fs.readdirSync(folder).filter((name) => name.startsWith(prefix));
}

function onAllAndNew(family: "ipv4" | "ipv6", values: Readonly<Record<string, string>>): NetSetting[] {
  return Object.entries(values).flatMap(([name, value]) =>
    ["all", "default"].map((of): NetSetting => [`${family}/conf/${of}/${name}`, value]),
  );
}
