import { formatUrl } from "../../rpc/url.js";
import { etcdSettings } from "./etcd.js";
import { nodeFiles, siteFiles } from "./files.js";
import type { NodePlan, OwnProgram } from "./layout.js";
import { outsideOf, ports, registryOutside } from "./nat.js";
import type { LabRecord } from "./record.js";
import { registriesOf } from "./registries.js";
import { rotated } from "./stores.js";

/** Where the programs of a lab look for what they run. */
export const path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** What a program is told, and nothing of the caller's own environment. */
export function environmentOf(lab: LabRecord, node: NodePlan, program: OwnProgram): Record<string, string> {
  const files = nodeFiles(lab.prefix, node.name);
  const common = { PATH: path, ...lab.environment, NSM_SITE: node.site, NSM_STATE_DIR: files.state(program) };
  const site = lab.sites.find(({ name }) => name === node.site);
  const unix = `unix://${files.socket(program)}`;
  const registries = registriesOf(lab, node.site).map(({ address }) => tcp(address, ports.registry));
  // Each node begins with another registry, its own where it has one.
  const inTurn = rotated(registries, lab.nodes.filter(({ site }) => site === node.site).indexOf(node)).join(",");
  switch (program) {
    case "registry":
      return {
        ...common,
        ...etcdSettings(lab, node),
        ...authorityOf(lab, node),
        NSM_NAME: `registry-${node.name}`,
        NSM_LISTEN_ON: `${unix},${tcp(node.address, ports.registry)}`,
        NSM_FEDERATION_URLS: registries.join(","),
        NSM_ADMIN_SOCKET: `unix://${files.admin(program)}`,
        NSM_TRUST_DOMAIN: site?.trustDomain ?? "",
        ...registryOutside(site),
      };
    case "nsmgr":
      return {
        ...common,
        NSM_NAME: `nsmgr-${node.name}`,
        NSM_NODE_NAME: node.name,
        NSM_LISTEN_ON: `${unix},${tcp(node.address, ports.nsmgr)}`,
        NSM_REGISTRY_URL: inTurn,
        NSM_NODE_SOCKET: `unix://${files.nodeSocket}`,
        NSM_JOIN_TOKEN_FILE: files.joinToken,
        NSM_RUN_DIR: files.run,
        ...outsideOf(lab, node, program),
      };
    case "forwarder":
      return {
        ...common,
        NSM_NAME: `forwarder-${node.name}`,
        NSM_NODE_NAME: node.name,
        NSM_LISTEN_ON: unix,
        NSM_ADMIN_SOCKET: `unix://${files.admin(program)}`,
        NSM_REGISTRY_URL: inTurn,
        NSM_JOIN_TOKEN_FILE: files.joinToken,
        NSM_CONNECT_TO: `unix://${files.socket("nsmgr")}`,
        NSM_TUNNEL_IP: node.address,
        NSM_MESH_NETNS: node.mesh,
        // A lab has no way to the machine's resolvers.
        NSM_DNS_UPSTREAMS: "none",
        ...outsideOf(lab, node, program),
      };
    default:
      return program satisfies never;
  }
}

/** A registry that is alone makes its authority itself. */
function authorityOf(lab: LabRecord, { site }: NodePlan): Record<string, string> {
  if (registriesOf(lab, site).length === 1) return {};
  const { caKey, caCertificate } = siteFiles(lab.prefix, site);
  return { NSM_CA_KEY_FILE: caKey, NSM_CA_CERT_FILE: caCertificate };
}

function tcp(host: string, port: number): string {
  return formatUrl({ kind: "tcp", host, port });
}
