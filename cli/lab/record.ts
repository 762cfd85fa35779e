import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { MeshError } from "../../core/error.js";
import { labFile, runFolder, runRoot } from "./files.js";
import type { LabPlan, ProgramName } from "./layout.js";

/** A process that cannot be mistaken for a later one with the same number. */
export interface ProcessRecord {
  readonly pid: number;
  readonly startTime: string;
}

/** The newest process of a program, running or not. */
export interface ProgramRecord extends ProcessRecord {
  readonly node: string;
  readonly program: ProgramName;
}

export interface PodRecord {
  readonly name: string;
  readonly node: string;
  readonly namespace: string;
}

/** What lab.json says. */
export interface LabRecord extends LabPlan {
  readonly format: typeof format;
  /** "raising" until everything is healthy; who raises it says whether it still will be. */
  readonly phase: "raising" | "up";
  readonly raisedBy: ProcessRecord;
  /** What the programs are given besides what the lab itself decides. */
  readonly environment: Readonly<Record<string, string>>;
  readonly programs: readonly ProgramRecord[];
  readonly pods: readonly PodRecord[];
}

/** What this nsmctl writes; another number is another nsmctl's file. */
export const format = 3;

/** The lab of that prefix, or undefined. A file that is not understood is an error that names it. */
export function readLab(prefix: string): LabRecord | undefined {
  const file = labFile(prefix);
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    if ((error as NodeJS.ErrnoException).code === "EACCES")
      throw new MeshError("denied", `${file} can be read by root only; run nsmctl as root`, { cause: error });
    throw error;
  }
  return parse(file, text);
}

/** The lab of that prefix; "not-found" says how to raise it. */
export function needLab(prefix: string): LabRecord {
  const lab = readLab(prefix);
  if (lab === undefined) throw new MeshError("not-found", noLab(prefix));
  return lab;
}

function noLab(prefix: string): string {
  const others = labPrefixes().filter((other) => other !== prefix);
  const there = others.length === 0 ? "" : `; there are: ${others.map((other) => `--prefix ${other}`).join(", ")}`;
  return `no lab with prefix ${prefix} is up: raise one with \`nsmctl lab up --prefix ${prefix}\`${there}`;
}

/** Prefixes of the labs on this machine. */
function labPrefixes(): string[] {
  try {
    return readdirSync(runRoot).filter((name) => readLab(name) !== undefined);
  } catch {
    return [];
  }
}

/** Replaces lab.json at once (mode 0600), so that a reader never sees half of it. */
export function writeLab(lab: LabRecord): void {
  mkdirSync(runFolder(lab.prefix), { recursive: true, mode: 0o755 });
  const file = labFile(lab.prefix);
  const fresh = `${file}.${process.pid}`;
  writeFileSync(fresh, `${JSON.stringify(lab, undefined, 2)}\n`, { mode: 0o600 });
  renameSync(fresh, file);
}

// Only root writes the file, so what is to be found is damage and files of other versions, not malice.
function parse(file: string, text: string): LabRecord {
  try {
    const lab = JSON.parse(text) as LabRecord;
    if (lab.format === format) return lab;
  } catch {
    // Said below, as of a file of another version.
  }
  throw new MeshError("conflict", `${file} is not what this nsmctl writes; remove it if no lab of yours is up`);
}
