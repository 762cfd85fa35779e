import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync } from "node:fs";
import { join, resolve } from "node:path";
import { environmentOf } from "../../cli/lab/environment.js";
import { nodeFiles, runFolder } from "../../cli/lab/files.js";
import { waitHealthy, waitRegistered } from "../../cli/lab/health.js";
import { layout, type NodePlan, type OwnProgram } from "../../cli/lab/layout.js";
import { raiseNetwork } from "../../cli/lab/network.js";
import { processOf, self } from "../../cli/lab/process.js";
import { programsOf } from "../../cli/lab/programs.js";
import { format, type LabRecord, type ProgramRecord, writeLab } from "../../cli/lab/record.js";
import { isEtcd } from "../../cli/lab/stores.js";
import { netnsPath, within } from "../../kernel/netns.js";
import { Stack } from "../../nsmgr/stack.js";
import { systemClock } from "../../program/clock.js";
import { Lab } from "./lab.js";
import { Spire, type SpireHost } from "./spire.js";

/** One site whose identities come from SPIRE. `nsmctl lab` takes it for one of its own from then on. */
export interface SpireLab extends AsyncDisposable {
  readonly lab: Lab;
  readonly spire: Spire;
  /** Starts a program once more, as somebody else and with other settings; it ends with the lab. */
  start(node: string, program: OwnProgram, gid: number, settings: Readonly<Record<string, string>>): void;
}

export interface SpireLabOptions {
  readonly prefix: string;
  readonly nodes: number;
  readonly trustDomain: string;
  /** Of an SVID, in seconds. */
  readonly lifetime: number;
  /** The path of a program's SPIFFE id. */
  readonly path: (program: OwnProgram, node: string) => string;
  readonly settings: Readonly<Record<string, string>>;
}

/** How SPIRE tells the programs of a node apart: all are root's and run the same Node. */
const groups: Readonly<Record<OwnProgram, number>> = { registry: 7001, nsmgr: 7002, forwarder: 7003 };

export async function raiseSpireLab(options: SpireLabOptions): Promise<SpireLab> {
  const { prefix, trustDomain, lifetime, path } = options;
  const plan = layout(prefix, 4, [{ name: "paris", nodes: options.nodes }]);
  const environment = { ...options.settings, NSM_IDENTITY: "workload-api" };
  const record: LabRecord = { ...plan, format, phase: "up", raisedBy: self(), environment, programs: [], pods: [] };
  writeLab(record);
  const lab = Lab.raised(prefix);
  await using started = new Stack();
  started.use(lab);
  raiseNetwork(plan);
  const folder = join(runFolder(prefix), "spire");
  mkdirSync(folder, { mode: 0o755 });
  const hosts = plan.nodes.map((node): SpireHost => ({ name: node.name, netns: netnsPath(node.namespace), address: node.address }));
  const entries = plan.nodes.flatMap((node) =>
    ownPrograms(record, node).map((program) => ({ node: node.name, gid: groups[program], path: path(program, node.name) })),
  );
  const spire = started.use(await Spire.start({ trustDomain, folder, server: hosts[0] as SpireHost, nodes: hosts, entries, lifetime }));
  const start = (node: NodePlan, program: OwnProgram, gid: number, settings: Readonly<Record<string, string>> = {}) => {
    const env = { ...environmentOf(record, node, program), SPIFFE_ENDPOINT_SOCKET: spire.socket(node.name), ...settings };
    return startAs(record, node, program, gid, env);
  };
  const programs = plan.nodes.flatMap((node) => ownPrograms(record, node).map((program) => start(node, program, groups[program])));
  writeLab({ ...record, programs });
  const wait = { prefix, clock: systemClock, signal: new AbortController().signal, withinMs: 30_000 };
  await waitHealthy(programs, wait, () => {});
  await waitRegistered(programs, wait, () => {});
  const kept = started.move();
  return {
    lab,
    spire,
    start: (name, ...rest) => void start(plan.nodes.find((node) => node.name === name) as NodePlan, ...rest),
    [Symbol.asyncDispose]: () => kept[Symbol.asyncDispose](),
  };
}

/** This lab's registry keeps its data itself. */
function ownPrograms(lab: LabRecord, node: NodePlan): OwnProgram[] {
  return programsOf(lab, node).filter((program): program is OwnProgram => !isEtcd(program));
}

function startAs(lab: LabRecord, node: NodePlan, program: OwnProgram, gid: number, env: Record<string, string>): ProgramRecord {
  const files = nodeFiles(lab.prefix, node.name);
  mkdirSync(files.logs, { recursive: true });
  mkdirSync(env.NSM_STATE_DIR as string, { recursive: true, mode: 0o700 });
  const log = openSync(join(files.logs, `${env.NSM_NAME}.log`), "a");
  try {
    const main = resolve(import.meta.dirname, "../../dist", program, "main.js");
    const { pid = 0 } = within(netnsPath(node.namespace), () =>
      spawn(process.execPath, [main], { cwd: "/", env, gid, stdio: ["ignore", log, log] }),
    );
    return { node: node.name, program, ...(processOf(pid) ?? { pid, startTime: "0" }) };
  } finally {
    closeSync(log);
  }
}
