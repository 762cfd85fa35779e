import { readFile } from "node:fs/promises";
import type { Lab } from "../lib/lab.js";

/** Resident and proportional memory of a node's nsmgr and forwarder together. */
export interface Memory {
  readonly rssMb: number;
  readonly pssMb: number;
}

interface Status {
  readonly programs: readonly { readonly node: string; readonly program: string; readonly pid: number }[];
}

export async function memoryOf(lab: Lab, node: string): Promise<Memory> {
  const { programs } = await lab.json<Status>("lab", "status");
  const own = programs.filter((one) => one.node === node && (one.program === "nsmgr" || one.program === "forwarder"));
  const texts = await Promise.all(own.map((one) => readFile(`/proc/${one.pid}/smaps_rollup`, "utf8")));
  const sum = (key: string): number =>
    texts.reduce((total, text) => total + Number(new RegExp(`^${key}:\\s+(\\d+)`, "m").exec(text)?.[1] ?? 0), 0) / 1024;
  return { rssMb: sum("Rss"), pssMb: sum("Pss") };
}
