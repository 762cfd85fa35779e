import { closeSync, existsSync, openSync, writeFileSync } from "node:fs";
import { MeshError } from "../../core/error.js";
import { interfaceIndex } from "../../kernel/ffi/file.js";
import { addAddress } from "../../kernel/netlink/address.js";
import { changeLink, createVeth } from "../../kernel/netlink/link.js";
import type { Request } from "../../kernel/netlink/message.js";
import { addRoute } from "../../kernel/netlink/route.js";
import { NETLINK_ROUTE, NetlinkSocket } from "../../kernel/netlink/socket.js";
import { createNetns, netnsPath, removeNetns, within } from "../../kernel/netns.js";
import { Nft } from "../../kernel/nft.js";
import { listSegmentNetns, segmentPrefix } from "../../kernel/segment.js";
import { createBridge, joinBridge } from "./bridge.js";
import type { LabPlan, NodePlan, SitePlan } from "./layout.js";
import { natRules } from "./nat.js";
import type { LabRecord } from "./record.js";

/** The name of a node's link to its LAN. */
export const nodeLink = "eth0";

/** Makes the WAN, a LAN per site, and every node with its link. Nothing of it may be there before. */
export function raiseNetwork(plan: LabPlan): void {
  createNetns(plan.wan);
  within(netnsPath(plan.wan), () => {
    setSysctls({ ...forwarding, ...quiet });
    using socket = new NetlinkSocket(NETLINK_ROUTE);
    socket.request(up("lo"));
    for (const site of plan.sites) raiseLan(socket, site);
  });
  const rules = natRules(plan);
  if (rules !== "") new Nft(netnsPath(plan.wan)).run(rules);
  for (const node of plan.nodes) raiseNode(plan, node);
}

/** Makes a pod: a network namespace with nothing but its loopback. */
export function raisePod(namespace: string): void {
  createNetns(namespace);
  within(netnsPath(namespace), () => {
    using socket = new NetlinkSocket(NETLINK_ROUTE);
    socket.request(up("lo"));
  });
}

/** Takes every namespace of a lab away, and with them all links. Fine to call twice. */
export function removeNetwork(lab: Pick<LabRecord, "wan" | "nodes" | "pods">): void {
  for (const name of namespacesOf(lab)) removeNetns(name);
}

/** Names of all namespaces that a lab may have made, those of meshes and of segments too. */
export function namespacesOf(lab: Pick<LabRecord, "wan" | "nodes" | "pods">): string[] {
  const ofNodes = lab.nodes.flatMap(({ mesh, namespace }) => [...listSegmentNetns(segmentPrefix(mesh)), mesh, namespace]);
  return [...lab.pods.map((pod) => pod.namespace), ...ofNodes, lab.wan];
}

const forwarding: Sysctls = { "ipv4/ip_forward": "1", "ipv6/conf/all/forwarding": "1" };
// A new namespace takes some of these from the machine; the lab is the same everywhere.
const quiet: Sysctls = {
  "ipv6/conf/all/disable_ipv6": "0",
  "ipv6/conf/default/disable_ipv6": "0",
  "ipv6/conf/default/accept_ra": "0",
  // Duplicate address detection costs a second in which a router cannot ask for its neighbours.
  "ipv6/conf/default/dad_transmits": "0",
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

function raiseLan(socket: NetlinkSocket, { bridge, gateway }: SitePlan): void {
  send(socket, createBridge(bridge));
  send(socket, up(bridge), addAddress(`give ${bridge} the address ${gateway}`, indexOf(bridge), gateway));
}

function raiseNode(plan: LabPlan, node: NodePlan): void {
  createNetns(node.namespace);
  within(netnsPath(node.namespace), () => setSysctls({ ...quiet, "ipv4/ip_forward": "0", "ipv6/conf/all/forwarding": "0" }));
  const bridge = plan.sites.find((site) => site.name === node.site)?.bridge ?? "";
  const file = openSync(netnsPath(node.namespace), "r");
  try {
    within(netnsPath(plan.wan), () => {
      using socket = new NetlinkSocket(NETLINK_ROUTE);
      send(socket, createVeth({ name: node.port }, { name: nodeLink, netns: file }));
      send(socket, joinBridge(node.port, indexOf(bridge)), up(node.port));
    });
  } finally {
    closeSync(file);
  }
  within(netnsPath(node.namespace), () => {
    using socket = new NetlinkSocket(NETLINK_ROUTE);
    const address = `${node.address}/${node.length}`;
    const everywhere = { prefix: plan.underlay === 4 ? "0.0.0.0/0" : "::/0", via: node.gateway };
    send(socket, up("lo"), up(nodeLink), addAddress(`give ${node.name} the address ${address}`, indexOf(nodeLink), address));
    send(socket, addRoute(`make ${node.gateway} the gateway of ${node.name}`, indexOf(nodeLink), everywhere, "add"));
  });
}

function up(device: string): Request {
  return changeLink(`set ${device} up`, indexOf(device), { up: true });
}

function indexOf(device: string): number {
  const index = interfaceIndex(device);
  if (index === 0) throw new MeshError("kernel", `there is no device ${device} where the lab made it`);
  return index;
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
