import { spawnSync } from "node:child_process";
import type { Clock } from "../../core/clock.js";
import { MeshError } from "../../core/error.js";
import { hostAndPort } from "../../rpc/url.js";
import { nodeFiles, siteFiles } from "./files.js";
import type { LabPlan, NodePlan, SitePlan } from "./layout.js";
import { statusAt } from "./loopback.js";
import { needNode } from "./pods.js";
import type { LabRecord } from "./record.js";
import { type EtcdName, type EtcdPlan, rotated } from "./stores.js";

/** What peers of a member have to call themselves: a registry's certificate does not make it one. */
export const memberName = "etcd";

/** Throws "not-found" with what to install. */
export function needEtcd(path: string): void {
  const { error } = spawnSync("etcd", ["--version"], { env: { PATH: path }, stdio: "ignore" });
  if (error !== undefined)
    throw new MeshError("not-found", `--store etcd needs the program etcd (${error.message}): on Debian \`apt-get install etcd-server\``);
}

/** The members on one node. */
export function membersOn(lab: LabPlan, node: NodePlan): EtcdPlan[] {
  return lab.sites.flatMap(({ etcd }) => etcd.filter((member) => member.node === node.name));
}

/** With what a member is started. */
export function flagsOf(lab: LabRecord, node: NodePlan, name: EtcdName): string[] {
  const site = siteOf(lab, node);
  const member = memberOf(lab, node, name);
  const files = siteFiles(lab.prefix, site.name);
  const { cert, key } = files.etcdPair("member");
  const client = urlOf(lab, member, member.clientPort);
  const peer = urlOf(lab, member, member.peerPort);
  const flags = {
    ...{ name, "data-dir": nodeFiles(lab.prefix, node.name).state(name), logger: "zap" },
    ...{ "listen-client-urls": client, "advertise-client-urls": client },
    ...{ "listen-peer-urls": peer, "initial-advertise-peer-urls": peer },
    "listen-metrics-urls": `http://127.0.0.1:${member.metricsPort}`,
    "initial-cluster": site.etcd.map((one) => `${one.name}=${urlOf(lab, one, one.peerPort)}`).join(","),
    "initial-cluster-token": site.trustDomain,
    ...{ "cert-file": cert, "key-file": key, "trusted-ca-file": files.etcdCa, "client-cert-auth": "true" },
    ...{ "peer-cert-file": cert, "peer-key-file": key, "peer-trusted-ca-file": files.etcdCa, "peer-client-cert-auth": "true" },
    "peer-cert-allowed-cn": memberName,
  };
  return Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`);
}

/** What a registry is told of its site's etcd: the members, one of its own node first. */
export function etcdSettings(lab: LabRecord, node: NodePlan): Record<string, string> {
  const { name, etcd, registryNodes } = siteOf(lab, node);
  if (etcd.length === 0) return {};
  const files = siteFiles(lab.prefix, name);
  const { cert, key } = files.etcdPair("registry");
  const inTurn = rotated(etcd, registryNodes.indexOf(node.name));
  return {
    NSM_ETCD_ENDPOINTS: inTurn.map((member) => urlOf(lab, member, member.clientPort)).join(","),
    ...{ NSM_ETCD_CA: files.etcdCa, NSM_ETCD_CERT: cert, NSM_ETCD_KEY: key },
  };
}

/** Where a member's metrics are, in its node's namespace. */
export function metricsOf(lab: LabRecord, node: string, name: EtcdName): string {
  return `http://127.0.0.1:${memberOf(lab, needNode(lab, node), name).metricsPort}/metrics`;
}

/** Whether a member has a leader and can read what most members agree on. */
export async function isHealthy(
  lab: LabRecord,
  { node: name, program }: { readonly node: string; readonly program: EtcdName },
  parts: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<boolean> {
  const node = needNode(lab, name);
  const { metricsPort: port } = memberOf(lab, node, program);
  return (await statusAt({ namespace: node.namespace, port, path: "/health" }, parts)) === 200;
}

function memberOf(lab: LabPlan, node: NodePlan, name: EtcdName): EtcdPlan {
  const member = membersOn(lab, node).find((one) => one.name === name);
  if (member === undefined) throw new MeshError("internal", `the lab ${lab.prefix} has no ${name} on ${node.name}`);
  return member;
}

function siteOf(lab: LabPlan, node: NodePlan): SitePlan {
  const site = lab.sites.find(({ name }) => name === node.site);
  if (site === undefined) throw new MeshError("internal", `the lab ${lab.prefix} has no site ${node.site}`);
  return site;
}

function urlOf(lab: LabRecord, member: EtcdPlan, port: number): string {
  return `https://${hostAndPort({ host: needNode(lab, member.node).address, port })}`;
}
