import { closeSync, existsSync, openSync, writeFileSync } from "node:fs";
import type { Request } from "../../kernel/netlink/message.js";
import { NETLINK_ROUTE, NetlinkSocket } from "../../kernel/netlink/socket.js";
import { createNetns, netnsPath, removeNetns, within } from "../../kernel/netns.js";
import type { LabPlan, NodePlan, SitePlan } from "./layout.js";
import { addAddress, addBridge, addDefaultRoute, addVeth, setMaster, setUp } from "./links.js";
import type { LabRecord } from "./record.js";

/** The name of a node's link to its LAN. */
export const nodeLink = "eth0";

/** Makes the WAN, a LAN per site, and every node with its link. Nothing of it may be there before. */
export function raiseNetwork(plan: LabPlan): void {
  createNetns(plan.wan);
  within(netnsPath(plan.wan), () => {
    setSysctls({ ...forwarding, ...quiet });
    using socket = new NetlinkSocket(NETLINK_ROUTE);
    socket.request(setUp("lo"));
    for (const site of plan.sites) raiseLan(socket, site);
  });
  for (const node of plan.nodes) raiseNode(plan, node);
}

/** Makes a pod: a network namespace with nothing but its loopback. */
export function raisePod(namespace: string): void {
  createNetns(namespace);
  within(netnsPath(namespace), () => {
    using socket = new NetlinkSocket(NETLINK_ROUTE);
    socket.request(setUp("lo"));
  });
}

/** Takes every namespace of a lab away, and with them all links. Fine to call twice. */
export function removeNetwork(lab: Pick<LabRecord, "wan" | "nodes" | "pods">): void {
  for (const name of namespacesOf(lab)) removeNetns(name);
}

/** Names of all namespaces that a lab may have made, mesh namespaces too. */
export function namespacesOf(lab: Pick<LabRecord, "wan" | "nodes" | "pods">): string[] {
  return [...lab.pods.map((pod) => pod.namespace), ...lab.nodes.flatMap((node) => [node.mesh, node.namespace]), lab.wan];
}

const forwarding: Sysctls = { "ipv4/ip_forward": "1", "ipv6/conf/all/forwarding": "1" };
// A new namespace takes some of these from the machine; the lab is the same everywhere.
const quiet: Sysctls = {
  "ipv6/conf/all/disable_ipv6": "0",
  "ipv6/conf/default/disable_ipv6": "0",
  "ipv6/conf/default/accept_ra": "0",
  "ipv4/conf/all/rp_filter": "0",
  "ipv4/conf/default/rp_filter": "0",
  "ipv4/conf/all/accept_redirects": "0",
  "ipv4/conf/all/send_redirects": "0",
  "ipv4/conf/default/send_redirects": "0",
  "bridge/bridge-nf-call-iptables": "0",
  "bridge/bridge-nf-call-ip6tables": "0",
  "bridge/bridge-nf-call-arptables": "0",
};

type Sysctls = Readonly<Record<string, string>>;

function raiseLan(socket: NetlinkSocket, site: SitePlan): void {
  const [address = "", length] = site.gateway.split("/");
  send(socket, addBridge(site.bridge), setUp(site.bridge));
  send(socket, addAddress(site.bridge, address, Number(length)));
}

function raiseNode(plan: LabPlan, node: NodePlan): void {
  createNetns(node.namespace);
  const bridge = plan.sites.find((site) => site.name === node.site)?.bridge ?? "";
  const file = openSync(netnsPath(node.namespace), "r");
  try {
    within(netnsPath(plan.wan), () => {
      using socket = new NetlinkSocket(NETLINK_ROUTE);
      send(socket, addVeth(node.port, nodeLink, file));
      send(socket, setMaster(node.port, bridge), setUp(node.port));
    });
  } finally {
    closeSync(file);
  }
  within(netnsPath(node.namespace), () => {
    setSysctls({ ...quiet, "ipv4/ip_forward": "0", "ipv6/conf/all/forwarding": "0" });
    using socket = new NetlinkSocket(NETLINK_ROUTE);
    send(socket, setUp("lo"), setUp(nodeLink), addAddress(nodeLink, node.address, node.length), addDefaultRoute(node.gateway));
  });
}

function send(socket: NetlinkSocket, ...requests: readonly Request[]): void {
  for (const result of socket.batch(requests)) if (result instanceof Error) throw result;
}

function setSysctls(values: Sysctls): void {
  for (const [name, value] of Object.entries(values)) {
    const file = `/proc/sys/net/${name}`;
    if (existsSync(file)) writeFileSync(file, value);
  }
}
