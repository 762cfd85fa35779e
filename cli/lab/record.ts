import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { z } from "zod";
import { MeshError } from "../../core/error.js";
import { labFile, runFolder, runRoot } from "./files.js";
import { programNames } from "./layout.js";

const processRecord = z.object({ pid: z.number().int().positive(), startTime: z.string() });
const siteRecord = z.object({ name: z.string(), bridge: z.string(), gateway: z.string(), registryNode: z.string().optional() });
const nodeRecord = z.object({
  name: z.string(),
  site: z.string(),
  namespace: z.string(),
  mesh: z.string(),
  address: z.string(),
  length: z.number(),
  gateway: z.string(),
  port: z.string(),
});
const programRecord = processRecord.extend({ node: z.string(), program: z.enum(programNames) });
const podRecord = z.object({ name: z.string(), node: z.string(), namespace: z.string() });

const record = z.object({
  prefix: z.string(),
  underlay: z.union([z.literal(4), z.literal(6)]),
  wan: z.string(),
  /** "raising" until everything is healthy; who raises it says whether it still will be. */
  phase: z.enum(["raising", "up"]),
  raisedBy: processRecord,
  /** What the programs are given besides what the lab itself decides. */
  environment: z.record(z.string(), z.string()),
  sites: z.array(siteRecord),
  nodes: z.array(nodeRecord),
  /** The newest process of each program, running or not. */
  programs: z.array(programRecord),
  pods: z.array(podRecord),
});

/** A process that cannot be mistaken for a later one with the same number. */
export type ProcessRecord = Readonly<z.infer<typeof processRecord>>;
export type ProgramRecord = Readonly<z.infer<typeof programRecord>>;
export type PodRecord = Readonly<z.infer<typeof podRecord>>;
export type NodeRecord = Readonly<z.infer<typeof nodeRecord>>;
/** What lab.json says. */
export type LabRecord = Readonly<z.infer<typeof record>>;

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

function parse(file: string, text: string): LabRecord {
  try {
    return record.parse(JSON.parse(text));
  } catch (error) {
    throw new MeshError("invalid", `${file} is not what this nsmctl writes; remove it if no lab of yours is up`, {
      cause: error,
      hop: "lab",
    });
  }
}
