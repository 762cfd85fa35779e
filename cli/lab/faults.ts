import { MeshError } from "../../core/error.js";
import { netnsPath } from "../../kernel/netns.js";
import type { Context } from "../context.js";
import { usage } from "../errors.js";
import { waitHealthy, waitRegistered } from "./health.js";
import { type NodePlan, type ProgramName, programNames } from "./layout.js";
import { listed, needNode } from "./pods.js";
import { endProcesses, isAlive, killProcesses, residents } from "./process.js";
import { isThe, programsOf, startProgram } from "./programs.js";
import { type LabRecord, needLab, type ProcessRecord, type ProgramRecord } from "./record.js";
import { isEtcd } from "./stores.js";

const wireguard = "wireguard-go";
const graceMs = 10_000;
const readyWithinMs = 30_000;
const respawnWithinMs = 5_000;

/** One program of one node; wireguard-go is the forwarder's child in spirit, and only meant when named. */
export interface Target {
  readonly node: string;
  readonly program: ProgramName | typeof wireguard;
}

/** `paris-1`, `paris-1/forwarder`, `paris` (a site: its registries), `paris/etcd`, or undefined for all of our programs. */
export function targetsOf(lab: LabRecord, text: string | undefined): Target[] {
  if (text === undefined) return lab.nodes.flatMap((node) => programsOf(lab, node).map((program) => ({ node: node.name, program })));
  const [name = "", program, ...rest] = text.split("/");
  if (rest.length > 0) throw usage(`name a node, a site, or NODE/PROGRAM, got "${text}"`);
  const node = lab.nodes.find((one) => one.name === name);
  if (node !== undefined) return ofNode(lab, node, program);
  return ofSite(lab, name, program);
}

function ofNode(lab: LabRecord, node: NodePlan, program: string | undefined): Target[] {
  // Registries and etcd are their site's, not the node's that they happen to run on.
  if (program === undefined)
    return [
      { node: node.name, program: "nsmgr" },
      { node: node.name, program: "forwarder" },
    ];
  const known = [...programsOf(lab, node), wireguard] as const;
  const meant = known.filter((one) => means(program, one));
  if (meant.length === 0) throw new MeshError("not-found", `${node.name} runs no ${program}; it runs ${known.join(", ")}`);
  return meant.map((one) => ({ node: node.name, program: one }));
}

function ofSite(lab: LabRecord, name: string, program: string | undefined): Target[] {
  const site = lab.sites.find((one) => one.name === name);
  if (site === undefined)
    throw new MeshError(
      "not-found",
      `no node or site ${name} in the lab ${lab.prefix}; ${listed("nodes", lab.nodes)}; ${listed("sites", lab.sites)}`,
    );
  const own: Target[] = [
    ...site.registryNodes.map((node) => ({ node, program: "registry" as const })),
    ...site.etcd.map((member) => ({ node: member.node, program: member.name })),
  ];
  const meant = own.filter((one) => means(program ?? "registry", one.program));
  const known = [...new Set(own.map((one) => one.program))].join(", ");
  if (meant.length === 0) throw new MeshError("not-found", `site ${name} has no ${program} of its own; it has ${known}`);
  return meant;
}

/** `etcd` is any member. */
function means(word: string, program: Target["program"]): boolean {
  return word === program || (word === "etcd" && isEtcd(program));
}

/** SIGKILL; resolves when they are gone. */
export async function killTargets(context: Context, prefix: string, text: string | undefined): Promise<Target[]> {
  const lab = needLab(prefix);
  const targets = targetsOf(lab, text);
  await killProcesses(processesOf(lab, targets), context.clock);
  return targets;
}

/** SIGTERM; resolves when they are gone, killed if they take too long. */
export async function stopTargets(context: Context, prefix: string, text: string | undefined): Promise<Target[]> {
  const lab = needLab(prefix);
  const targets = targetsOf(lab, text);
  await endProcesses(processesOf(lab, targets), context.clock, graceMs);
  return targets;
}

/** Starts those that do not run, and resolves when all of them are healthy. */
export async function startTargets(
  context: Context,
  prefix: string,
  text: string | undefined,
  step: (text: string) => void,
): Promise<Target[]> {
  const lab = needLab(prefix);
  const targets = targetsOf(lab, text);
  const programs: ProgramRecord[] = [];
  for (const target of inOrder(targets)) {
    if (target.program === wireguard) await waitForWireguard(context, lab, target.node);
    else programs.push(running(lab, target) ?? (await startProgram(lab, needNode(lab, target.node), target.program, context.clock)));
  }
  const wait = { prefix, clock: context.clock, signal: context.signal, withinMs: readyWithinMs };
  await waitHealthy(programs, wait, step);
  // A forwarder can be registered only when all that it registers with is there.
  if (needLab(prefix).programs.every(isAlive)) await waitRegistered(programs, wait, step);
  return targets;
}

/** The wireguard-go processes of a node. */
export function wireguardOf(node: NodePlan): ProcessRecord[] {
  return residents([netnsPath(node.namespace), netnsPath(node.mesh)]).filter((one) => one.command === wireguard);
}

function processesOf(lab: LabRecord, targets: readonly Target[]): ProcessRecord[] {
  return targets.flatMap((target) =>
    target.program === wireguard
      ? wireguardOf(needNode(lab, target.node))
      : lab.programs.filter((one) => isThe(one, programTarget(target))),
  );
}

function running(lab: LabRecord, target: Target): ProgramRecord | undefined {
  return lab.programs.find((one) => isThe(one, programTarget(target)) && isAlive(one));
}

function programTarget(target: Target): { readonly node: string; readonly program: ProgramName } {
  return { node: target.node, program: target.program as ProgramName };
}

// All of etcd, which is not in the list, before all registries before all nsmgrs before all forwarders.
function inOrder(targets: readonly Target[]): Target[] {
  const order: readonly string[] = programNames;
  return [...targets].sort((a, b) => order.indexOf(a.program) - order.indexOf(b.program));
}

// Nobody but its forwarder starts it.
async function waitForWireguard(context: Context, lab: LabRecord, name: string): Promise<void> {
  const node = needNode(lab, name);
  const end = context.clock.monotonic() + respawnWithinMs;
  while (wireguardOf(node).length === 0) {
    if (context.clock.monotonic() > end)
      throw new MeshError(
        "unreachable",
        `no wireguard-go runs on ${name}: its forwarder starts it with the first connection to another node`,
      );
    await context.clock.sleep(50, context.signal);
  }
}
