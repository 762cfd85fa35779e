import { getServers } from "node:dns";
import { z } from "zod";
import { auditLog } from "../program/audit.js";
import { setting } from "../program/config.js";
import { memberSettings } from "../program/identity.js";
import { bool, duration, externalIp, integer, labels, list, optionalText, text } from "../program/values.js";
import { isUpstream } from "./dns/upstream.js";
import type { PortRange } from "./mechanisms/wireguard.js";

const port = integer(1, 65_535);
/** `node`, `none`, or addresses. */
const upstreams = z
  .string()
  .refine((value) => upstreamsIn(value) !== undefined, "node, none, or addresses as 192.0.2.53 or [2001:db8::53]:5353, comma separated")
  .transform((value): readonly string[] => upstreamsIn(value) ?? []);

function upstreamsIn(value: string): readonly string[] | undefined {
  if (value === "none") return [];
  if (value === "node") return getServers().filter(isUpstream);
  const named = value.split(",").map((word) => word.trim());
  return named.every(isUpstream) ? named : undefined;
}

const portRange = "two ports, the lower one first, as 51821-55820";

/** `51821-55820`. */
const ports = z
  .string()
  .regex(/^\d{1,5}-\d{1,5}$/, portRange)
  .transform((value): PortRange => {
    const [first = 0, last = 0] = value.split("-").map(Number);
    return { first, last };
  })
  .refine(({ first, last }) => first >= 1 && first <= last && last <= 65_535, portRange);

/** What the forwarder can be told. */
export const settings = {
  name: setting("NSM_NAME", "the name of this forwarder, its name in paths too", text, "forwarder"),
  ...memberSettings,
  site: setting("NSM_SITE", "the site this node belongs to", text, "default"),
  nodeName: setting("NSM_NODE_NAME", "the name of this node; NSM_NAME unless given", optionalText, ""),
  connectTo: setting("NSM_CONNECT_TO", "the URL of this node's nsmgr", text, "unix:///run/isthmus/nsmgr.sock"),
  listenOn: setting("NSM_LISTEN_ON", "where it serves, the first URL is published", list, "unix:///run/isthmus/forwarder.sock"),
  adminSocket: setting(
    "NSM_ADMIN_SOCKET",
    "the unix socket of its health, for this node's administrator",
    text,
    "unix:///run/isthmus/forwarder-admin.sock",
  ),
  auditLog,
  service: setting("NSM_NS_NAME", "the network service of forwarders", text, "forwarder"),
  labels: setting("NSM_LABELS", "labels of this forwarder", labels, "p2p:true"),
  tunnelIp: setting("NSM_TUNNEL_IP", "this node's address for tunnels; its first address unless given", optionalText, ""),
  externalAddress: setting(
    "NSM_EXTERNAL_ADDRESS",
    "where nodes of other sites reach the tunnel: ADDRESS or ADDRESS:PORT; none: nowhere, this node begins; NSM_TUNNEL_IP unless given",
    externalIp,
    "",
  ),
  vxlanPort: setting("NSM_VXLAN_PORT", "the UDP port of plain VXLAN; 0 is 4789", integer(0, 65_535), "4789"),
  wireguardPort: setting("NSM_WIREGUARD_PORT", "the UDP port of the node tunnel", port, "51820"),
  wireguardPorts: setting("NSM_WIREGUARD_PORTS", "UDP ports of WIREGUARD connections, one for each", ports, "51821-55820"),
  mesh: setting("NSM_MESH_NETNS", "the name of the mesh namespace", text, "isthmus-mesh"),
  allowPlain: setting("NSM_ALLOW_PLAIN", "whether plain VXLAN may be used without being asked for", bool, "false"),
  dnsUpstreams: setting(
    "NSM_DNS_UPSTREAMS",
    "who is asked for names that are of no segment, as 192.0.2.53 or [2001:db8::53]:5353; node: those of /etc/resolv.conf; none: nobody",
    upstreams,
    "node",
  ),
  stateDir: setting("NSM_STATE_DIR", "where this forwarder keeps its state", text, "/var/lib/isthmus/forwarder"),
  maxTokenLifetime: setting("NSM_MAX_TOKEN_LIFETIME", "how long a path's tokens last", duration, "10m"),
  dialTimeout: setting("NSM_DIAL_TIMEOUT", "how long a connection to a peer may take to come up", duration, "750ms"),
};
