import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Clock } from "../../core/clock.js";
import { MeshError } from "../../core/error.js";
import { netnsPath, within } from "../../kernel/netns.js";
import { nodeFlags } from "../../program/nodeFlags.js";
import { nodeFiles } from "./files.js";
import type { NodePlan, ProgramName, SitePlan } from "./layout.js";
import { changeLab } from "./lock.js";
import { outsideOf, ports, registryOutside } from "./nat.js";
import { processOf } from "./process.js";
import type { LabRecord, ProcessRecord, ProgramRecord } from "./record.js";

const tail = 10;

/** The programs that a node runs, in the order in which they start. */
export function programsOf(lab: LabRecord, node: NodePlan): ProgramName[] {
  const hasRegistry = lab.sites.some((site) => site.registryNode === node.name);
  return hasRegistry ? ["registry", "nsmgr", "forwarder"] : ["nsmgr", "forwarder"];
}

/** Where a site's registry runs. */
export function registryOf(lab: LabRecord, site: string): NodePlan {
  const own = siteOf(lab, site)?.registryNode;
  const node = lab.nodes.find((one) => one.name === own);
  if (node === undefined) throw new MeshError("internal", `the lab ${lab.prefix} has no registry for site ${site}`);
  return node;
}

function siteOf(lab: LabRecord, name: string): SitePlan | undefined {
  return lab.sites.find((site) => site.name === name);
}

/** Starts a program in its node's namespace, apart from this process and its terminal, and writes it down in lab.json. */
export async function startProgram(lab: LabRecord, node: NodePlan, program: ProgramName, clock: Clock): Promise<ProgramRecord> {
  const files = nodeFiles(lab.prefix, node.name);
  mkdirSync(files.logs, { recursive: true, mode: 0o755 });
  mkdirSync(files.state(program), { recursive: true, mode: 0o700 });
  const main = mainOf(program);
  const log = openSync(files.log(program), "a", 0o640);
  try {
    const started = spawnIn(node.namespace, main, environmentOf(lab, node, program), log);
    const record = { node: node.name, program, ...(await started) };
    await changeLab(lab.prefix, clock, (now) => ({ ...now, programs: [...now.programs.filter((one) => !isThe(one, record)), record] }));
    return record;
  } finally {
    closeSync(log);
  }
}

/** Whether two records are of the same program of the same node. */
export function isThe(a: Pick<ProgramRecord, "node" | "program">, b: Pick<ProgramRecord, "node" | "program">): boolean {
  return a.node === b.node && a.program === b.program;
}

/** The last lines that a program logged, for a message. */
export function lastLines(prefix: string, node: string, program: ProgramName): string {
  try {
    const lines = readFileSync(nodeFiles(prefix, node).log(program), "utf8").trimEnd().split("\n");
    return lines.slice(-tail).join("\n    ");
  } catch {
    return "";
  }
}

/** What a program is told, and nothing of the caller's own environment. */
export function environmentOf(lab: LabRecord, node: NodePlan, program: ProgramName): Record<string, string> {
  const files = nodeFiles(lab.prefix, node.name);
  const common = {
    PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ...lab.environment,
    NSM_SITE: node.site,
    NSM_STATE_DIR: files.state(program),
  };
  const unix = `unix://${files.socket(program)}`;
  switch (program) {
    case "registry":
      return {
        ...common,
        NSM_NAME: `registry-${node.site}`,
        NSM_LISTEN_ON: `${unix},${tcp(node.address, ports.registry)}`,
        NSM_ADMIN_SOCKET: `unix://${files.admin(program)}`,
        NSM_TRUST_DOMAIN: siteOf(lab, node.site)?.trustDomain ?? "",
        ...registryOutside(siteOf(lab, node.site) ?? {}),
      };
    case "nsmgr":
      return {
        ...common,
        NSM_NAME: `nsmgr-${node.name}`,
        NSM_NODE_NAME: node.name,
        NSM_LISTEN_ON: `${unix},${tcp(node.address, ports.nsmgr)}`,
        NSM_REGISTRY_URL: tcp(registryOf(lab, node.site).address, ports.registry),
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
        NSM_JOIN_TOKEN_FILE: files.joinToken,
        NSM_CONNECT_TO: `unix://${files.socket("nsmgr")}`,
        NSM_TUNNEL_IP: node.address,
        NSM_MESH_NETNS: node.mesh,
        ...outsideOf(lab, node, program),
      };
    default:
      return program satisfies never;
  }
}

function tcp(address: string, port: number): string {
  return `tcp://${address.includes(":") ? `[${address}]` : address}:${port}`;
}

async function spawnIn(namespace: string, main: string, env: Record<string, string>, log: number): Promise<ProcessRecord> {
  const child = within(netnsPath(namespace), () =>
    spawn(process.execPath, [...nodeFlags, main], { cwd: "/", env, stdio: ["ignore", log, log], detached: true }),
  );
  child.unref();
  if (child.pid === undefined) {
    const [error] = (await once(child, "error")) as [Error];
    throw new MeshError("kernel", `${process.execPath} cannot be started in ${namespace}: ${error.message}`, { cause: error });
  }
  return processOf(child.pid) ?? { pid: child.pid, startTime: "0" };
}

// The programs are always the built ones: the lab shows what users run. This file is in cli/lab, or in dist/cli/lab.
function mainOf(program: ProgramName): string {
  const root = fileURLToPath(new URL("../../", import.meta.url));
  const built = root.endsWith("/dist/") ? root : `${root}dist/`;
  const main = `${built}${program}/main.js`;
  if (!existsSync(main)) throw new MeshError("not-found", `${main} is not built; run \`npm run build\` first`);
  return main;
}
