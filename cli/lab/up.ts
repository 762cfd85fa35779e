import { MeshError } from "../../core/error.js";
import type { Context } from "../context.js";
import { takeDown } from "./down.js";
import { path } from "./environment.js";
import { needEtcd } from "./etcd.js";
import { federate, waitJoined } from "./federate.js";
import { type Wait, waitHealthy, waitRegistered } from "./health.js";
import { inviteNode } from "./invite.js";
import { type LabPlan, layout, type NodePlan, type ProgramName, type SiteWish, type Underlay } from "./layout.js";
import { changeLab, lockLab } from "./lock.js";
import { raiseNetwork } from "./network.js";
import { isAlive, self } from "./process.js";
import { programsOf, startProgram } from "./programs.js";
import { format, type LabRecord, needLab, type ProgramRecord, readLab, writeLab } from "./record.js";
import { makeSecrets } from "./secrets.js";
import { isEtcd, type StoreWish } from "./stores.js";

const healthyWithinMs = 60_000;

// What the caller may decide for all programs of a lab by its own environment.
const passedOn = [
  "LOG_LEVEL",
  "NSM_MAX_TOKEN_LIFETIME",
  "NSM_ALLOW_PLAIN",
  "NSM_EXPIRE_PERIOD",
  "NSM_DIAL_TIMEOUT",
  "NSM_SVID_LIFETIME",
  "TELEMETRY",
  "NSM_OPEN_TELEMETRY_ENDPOINT",
  "NSM_EXPORT",
];

/** What is asked for. */
export interface LabWish {
  readonly prefix: string;
  readonly underlay: Underlay;
  readonly sites: readonly SiteWish[];
  readonly store: StoreWish["store"];
  /** Whether every node takes plaintext VXLAN without being asked for it by name. */
  readonly allowPlain: boolean;
}

/** Raises a lab and resolves when every program is healthy. A failure or Ctrl-C takes everything down again. */
export async function raiseLab(context: Context, wish: LabWish, step: (text: string) => void): Promise<LabRecord> {
  if (process.getuid?.() !== 0) throw new MeshError("denied", "a lab makes network namespaces: run nsmctl as root");
  const plan = layout(wish.prefix, wish.underlay, wish.sites);
  if (wish.store === "etcd") needEtcd(path);
  await claim(context, plan, environmentOf(context, wish));
  try {
    step("making the network");
    raiseNetwork(plan);
    await makeSecrets(plan, context.clock);
    const wait = { prefix: plan.prefix, clock: context.clock, signal: context.signal, withinMs: healthyWithinMs };
    const programs = await startAll(context, plan, wait, step);
    await waitHealthy(programs, wait, step);
    await waitRegistered(programs, wait, step);
    await waitJoined(needLab(plan.prefix), wait, step);
    return await changeLab(plan.prefix, context.clock, (lab) => ({ ...lab, phase: "up" }));
  } catch (error) {
    step("taking everything down again");
    await takeDown(plan.prefix, context.clock);
    throw error;
  }
}

// Written down before anything is made: whatever happens later, the next nsmctl knows what to remove.
async function claim(context: Context, plan: LabPlan, environment: Record<string, string>): Promise<void> {
  using _lock = await lockLab(plan.prefix, context.clock);
  const old = readLab(plan.prefix);
  if (old !== undefined) refuseIfUsed(old);
  await takeDown(plan.prefix, context.clock, "locked");
  writeLab({
    ...plan,
    format,
    phase: "raising",
    raisedBy: self(),
    environment,
    programs: [],
    pods: [],
  });
}

function environmentOf(context: Context, wish: LabWish): Record<string, string> {
  const given = Object.fromEntries(passedOn.flatMap((name) => (context.env[name] ? [[name, context.env[name]]] : [])));
  return { ...given, NSM_STORE: wish.store, ...(wish.allowPlain && { NSM_ALLOW_PLAIN: "true" }) };
}

function refuseIfUsed(lab: LabRecord): void {
  const { prefix } = lab;
  if (lab.phase === "raising" && isAlive(lab.raisedBy))
    throw new MeshError("exists", `process ${lab.raisedBy.pid} is raising the lab ${prefix}; wait for it, or take another --prefix`);
  const alive = lab.programs.filter(isAlive).length;
  if (lab.phase === "up" && alive > 0)
    throw new MeshError(
      "exists",
      `the lab ${prefix} is up already (${alive} of ${lab.programs.length} programs run): ` +
        `use it, take it down with \`nsmctl lab down --prefix ${prefix}\`, or take another --prefix`,
    );
}

/** The registries and what they need first: without one no other program gets an identity. */
async function startAll(context: Context, plan: LabPlan, wait: Wait, step: (text: string) => void): Promise<ProgramRecord[]> {
  const lab = await changeLab(plan.prefix, context.clock, (now) => now);
  const start = async (node: NodePlan, program: ProgramName) => {
    context.signal.throwIfAborted();
    step(`starting ${program} of ${node.name}`);
    return await startProgram(lab, node, program, context.clock);
  };
  const started: ProgramRecord[] = [];
  const early = [isEtcd, (program: ProgramName) => program === "registry"];
  for (const isMeant of early) {
    for (const node of lab.nodes) for (const program of programsOf(lab, node).filter(isMeant)) started.push(await start(node, program));
    await waitHealthy(started, wait, step);
  }
  await federate(context, lab, step);
  for (const node of lab.nodes) {
    step(`inviting ${node.name}`);
    await inviteNode(context, lab, node);
    for (const program of programsOf(lab, node)) if (!early.some((isMeant) => isMeant(program))) started.push(await start(node, program));
  }
  return started;
}
