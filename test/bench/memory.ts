import { readFile } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import type { Lab } from "../lib/lab.js";

/** Resident and proportional memory of a node's nsmgr and forwarder together. */
export interface Memory {
  readonly rssMb: number;
  readonly pssMb: number;
}

interface Status {
  readonly programs: readonly { readonly node: string; readonly program: string; readonly pid: number }[];
}

/** At rest is who has not given back a hundredth of what it has in so long; at the latest after `longestMs`. */
const quietMs = 30_000;
const longestMs = 120_000;
const lookMs = 5_000;

/** The same, once the programs have given back what a busier time has left them with. */
export async function memoryAtRest(lab: Lab, node: string): Promise<Memory & { readonly afterS: number }> {
  const started = performance.now();
  let [least, since] = [Number.POSITIVE_INFINITY, started];
  for (;;) {
    const memory = await memoryOf(lab, node);
    const now = performance.now();
    if (memory.rssMb < 0.99 * least) [least, since] = [memory.rssMb, now];
    if (now - since >= quietMs || now - started >= longestMs) return { ...memory, afterS: Math.round((now - started) / 1000) };
    await pause(lookMs);
  }
}

export async function memoryOf(lab: Lab, node: string): Promise<Memory> {
  const { programs } = await lab.json<Status>("lab", "status");
  const own = programs.filter((one) => one.node === node && (one.program === "nsmgr" || one.program === "forwarder"));
  const texts = await Promise.all(own.map((one) => readFile(`/proc/${one.pid}/smaps_rollup`, "utf8")));
  const sum = (key: string): number =>
    texts.reduce((total, text) => total + Number(new RegExp(`^${key}:\\s+(\\d+)`, "m").exec(text)?.[1] ?? 0), 0) / 1024;
  return { rssMb: sum("Rss"), pssMb: sum("Pss") };
}
