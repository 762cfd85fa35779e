import { metricsAddress } from "../../program/metricsAddress.js";
import type { Context } from "../context.js";
import { type Session, withPeers } from "../session.js";
import { metricsOf } from "./etcd.js";
import { wireguardOf } from "./faults.js";
import { nodeFiles } from "./files.js";
import { serves } from "./health.js";
import type { SitePlan } from "./layout.js";
import { isAlive } from "./process.js";
import { isThe, programsOf } from "./programs.js";
import { type LabRecord, needLab, type PodRecord, type ProgramRecord } from "./record.js";
import { registryOf } from "./registries.js";
import { isEtcd } from "./stores.js";

/** What `lab status` says. */
export interface LabStatus {
  readonly prefix: string;
  readonly underlay: number;
  readonly phase: string;
  readonly sites: readonly SiteStatus[];
  readonly nodes: readonly NodeStatus[];
  readonly programs: readonly ProgramStatus[];
  readonly pods: readonly PodRecord[];
}

export interface SiteStatus {
  readonly name: string;
  /** The nodes on which its registries run. */
  readonly registries: readonly string[];
  readonly trustDomain: string;
  /** What its router lets in, "open", "control" or "closed"; empty where that translates no addresses. */
  readonly nat: string;
  /** What a registry of it says of the sites that it is joined with: "up", "away" or "joining"; empty when it cannot be asked. */
  readonly joined: Readonly<Record<string, string>>;
}

interface NodeStatus {
  readonly name: string;
  readonly site: string;
  readonly namespace: string;
  readonly mesh: string;
  readonly address: string;
  /** The socket that `nsmctl --node` talks to. */
  readonly socket: string;
}

export interface ProgramStatus {
  readonly node: string;
  readonly program: string;
  readonly pid: number;
  /** "healthy", "running" (it does not answer that it serves), or "stopped". */
  readonly state: string;
  /** Empty where it has none. */
  readonly socket: string;
  readonly log: string;
  /** Where its metrics are, in its node's namespace; empty where it has none. */
  readonly metrics: string;
}

/** Looks at every program of a lab; asks those that run whether they serve. */
export async function labStatus(context: Context, prefix: string): Promise<LabStatus> {
  const lab = needLab(prefix);
  const programs = await withPeers(context.clock, (peers) =>
    Promise.all(
      inOrder(lab).map(async (one): Promise<ProgramStatus> => {
        const files = nodeFiles(prefix, one.node);
        const { node, program } = one;
        const state = !isAlive(one) ? "stopped" : (await serves(peers, { prefix, ...context }, one)) ? "healthy" : "running";
        return {
          ...{ node, program, pid: one.pid, state, log: files.log(program) },
          socket: isEtcd(program) ? "" : files.socket(program),
          metrics: isEtcd(program) ? metricsOf(lab, node, program) : `http://${metricsAddress(program)}/metrics`,
        };
      }),
    ),
  );
  const sites = await withPeers(context.clock, (peers) =>
    Promise.all(lab.sites.map((site) => siteStatus(peers, lab, site, context.signal))),
  );
  const tunnels = lab.nodes.flatMap((node) =>
    wireguardOf(node).map(({ pid }) => ({
      node: node.name,
      program: "wireguard-go",
      pid,
      state: "running",
      socket: "",
      log: "",
      metrics: "",
    })),
  );
  return {
    prefix,
    underlay: lab.underlay,
    phase: lab.phase,
    sites,
    nodes: lab.nodes.map(({ name, site, namespace, mesh, address }) => ({
      name,
      site,
      namespace,
      mesh,
      address,
      socket: nodeFiles(prefix, name).nodeSocket,
    })),
    programs: [...programs, ...tunnels],
    pods: lab.pods,
  };
}

async function siteStatus(
  peers: Session,
  lab: LabRecord,
  { name, registryNodes: registries, trustDomain, nat }: SitePlan,
  signal: AbortSignal,
): Promise<SiteStatus> {
  const told = await peers
    .site(`unix://${nodeFiles(lab.prefix, registryOf(lab, name).name).admin("registry")}`)
    .listSites(signal)
    .catch(() => undefined);
  return {
    name,
    registries,
    trustDomain,
    nat: nat?.kind ?? "",
    joined: Object.fromEntries((told?.sites ?? []).map((site) => [site.name, site.state])),
  };
}

/** By node and then as they start; lab.json has them as they were started last. */
function inOrder(lab: LabRecord): ProgramRecord[] {
  return lab.nodes.flatMap((node) =>
    programsOf(lab, node).flatMap((program) => lab.programs.filter((one) => isThe(one, { node: node.name, program }))),
  );
}
