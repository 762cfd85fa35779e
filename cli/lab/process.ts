import { readdirSync, readFileSync, statSync } from "node:fs";
import type { Clock } from "../../core/clock.js";
import { MeshError } from "../../core/error.js";
import type { ProcessRecord } from "./record.js";

const pollMs = 10;

/** A running process, or undefined when there is none of that number. */
export function processOf(pid: number): ProcessRecord | undefined {
  const stat = statOf(pid);
  return stat === undefined ? undefined : { pid, startTime: stat.startTime };
}

/** This process. */
export function self(): ProcessRecord {
  const mine = processOf(process.pid);
  if (mine === undefined) throw new MeshError("unsupported", "/proc does not show this process; the lab needs /proc mounted");
  return mine;
}

/** Whether that very process still runs. A dead one that nobody waited for does not. */
export function isAlive(process: ProcessRecord): boolean {
  const stat = statOf(process.pid);
  return stat !== undefined && stat.startTime === process.startTime && stat.state !== "Z" && stat.state !== "X";
}

/** Sends a signal to that very process; false when it is gone. */
export function signalProcess(target: ProcessRecord, signal: NodeJS.Signals): boolean {
  if (!isAlive(target)) return false;
  try {
    return process.kill(target.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
    throw error;
  }
}

/** Resolves to true when all of them are gone, to false when `withinMs` is over first. */
export async function allGone(processes: readonly ProcessRecord[], clock: Clock, withinMs: number): Promise<boolean> {
  const end = clock.monotonic() + withinMs;
  const never = new AbortController().signal;
  while (processes.some(isAlive)) {
    if (clock.monotonic() > end) return false;
    await clock.sleep(pollMs, never);
  }
  return true;
}

/** Ends them: asks, waits, and kills what is left after `graceMs`. */
export async function endProcesses(processes: readonly ProcessRecord[], clock: Clock, graceMs: number): Promise<void> {
  for (const one of processes) signalProcess(one, "SIGTERM");
  if (await allGone(processes, clock, graceMs)) return;
  await killProcesses(processes, clock);
}

/** Kills them and waits until they are gone. */
export async function killProcesses(processes: readonly ProcessRecord[], clock: Clock): Promise<void> {
  for (const one of processes) signalProcess(one, "SIGKILL");
  if (await allGone(processes, clock, 5_000)) return;
  const left = processes.filter(isAlive).map((one) => one.pid);
  throw new MeshError("kernel", `processes ${left.join(", ")} do not end although they were killed; look at them with ps`);
}

/** A process in a network namespace, with the first word of its command line. */
export interface Resident extends ProcessRecord {
  readonly command: string;
}

/** Every process whose network namespace is mounted at one of the paths, without this one and those it was started by. */
export function residents(paths: readonly string[]): Resident[] {
  const inodes = new Set(paths.map(inodeOf).filter((inode) => inode !== undefined));
  const own = ancestors();
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && !own.has(Number(name)) && inodes.has(inodeOf(`/proc/${name}/ns/net`) ?? "none"))
    .flatMap((name) => {
      const found = processOf(Number(name));
      return found === undefined || !isAlive(found) ? [] : [{ ...found, command: commandOf(found.pid) }];
    });
}

function ancestors(): Set<number> {
  const own = new Set<number>();
  for (let pid = process.pid; pid > 0; pid = statOf(pid)?.parent ?? 0) own.add(pid);
  return own;
}

// Device and inode: while a namespace is mounted somewhere its inode is nobody else's.
function inodeOf(path: string): string | undefined {
  try {
    const { dev, ino } = statSync(path);
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
}

function commandOf(pid: number): string {
  try {
    const first = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0")[0] ?? "";
    return first.slice(first.lastIndexOf("/") + 1);
  } catch {
    return "";
  }
}

function statOf(pid: number): { readonly state: string; readonly parent: number; readonly startTime: string } | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return undefined;
  }
  // The name in brackets may hold anything; the fields after it do not.
  const [state = "", parent = "0", ...rest] = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { state, parent: Number(parent), startTime: rest[17] ?? "" };
}
