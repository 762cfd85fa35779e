import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../../core/clock.js";
import { MeshError } from "../../core/error.js";
import { netnsPath, within } from "../../kernel/netns.js";
import { ownCheckout } from "../../program/checkout.js";
import { nodeFlags } from "../../program/nodeFlags.js";
import { environmentOf, path } from "./environment.js";
import { flagsOf, membersOn } from "./etcd.js";
import { nodeFiles } from "./files.js";
import type { NodePlan, OwnProgram, ProgramName } from "./layout.js";
import { changeLab } from "./lock.js";
import { processOf } from "./process.js";
import type { LabRecord, ProcessRecord, ProgramRecord } from "./record.js";
import { isEtcd } from "./stores.js";

const tail = 10;

/** The programs that a node runs, in the order in which they start. */
export function programsOf(lab: LabRecord, node: NodePlan): ProgramName[] {
  const hasRegistry = lab.sites.some((site) => site.registryNodes.includes(node.name));
  return [...membersOn(lab, node).map(({ name }) => name), ...(hasRegistry ? (["registry"] as const) : []), "nsmgr", "forwarder"];
}

/** Starts a program in its node's namespace, apart from this process and its terminal, and writes it down in lab.json. */
export async function startProgram(lab: LabRecord, node: NodePlan, program: ProgramName, clock: Clock): Promise<ProgramRecord> {
  const files = nodeFiles(lab.prefix, node.name);
  mkdirSync(files.logs, { recursive: true, mode: 0o755 });
  mkdirSync(files.state(program), { recursive: true, mode: 0o700 });
  const command = commandOf(lab, node, program);
  const log = openSync(files.log(program), "a", 0o640);
  try {
    const started = spawnIn(node.namespace, command, log);
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

interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

function commandOf(lab: LabRecord, node: NodePlan, program: ProgramName): Command {
  if (isEtcd(program)) return { file: "etcd", args: flagsOf(lab, node, program), env: { PATH: path } };
  return { file: process.execPath, args: [...nodeFlags[program], mainOf(program)], env: environmentOf(lab, node, program) };
}

async function spawnIn(namespace: string, { file, args, env }: Command, log: number): Promise<ProcessRecord> {
  const child = within(netnsPath(namespace), () => spawn(file, args, { cwd: "/", env, stdio: ["ignore", log, log], detached: true }));
  child.unref();
  if (child.pid === undefined) {
    const [error] = (await once(child, "error")) as [Error];
    throw new MeshError("kernel", `${file} cannot be started in ${namespace}: ${error.message}`, { cause: error });
  }
  return processOf(child.pid) ?? { pid: child.pid, startTime: "0" };
}

// The programs are always the built ones: the lab shows what users run.
function mainOf(program: OwnProgram): string {
  const main = join(ownCheckout()?.folder ?? "", "dist", program, "main.js");
  if (!existsSync(main)) throw new MeshError("not-found", `${main} is not built; run \`npm run build\` first`);
  return main;
}
