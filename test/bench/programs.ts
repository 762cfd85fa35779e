import { readFileSync } from "node:fs";
import type { Lab } from "../lib/lab.js";

/** A program of ours in a lab. */
export interface Program {
  readonly node: string;
  readonly program: string;
  readonly pid: number;
}

/** What programs of one kind use, those of all nodes together. */
export type Used = Readonly<Record<"registry" | "nsmgr" | "forwarder" | "wireguard-go", number>>;

export async function programsOf(lab: Lab): Promise<readonly Program[]> {
  return (await lab.json<{ readonly programs: readonly Program[] }>("lab", "status")).programs;
}

/** Resident memory, in MB. */
export function memoryUsed(programs: readonly Program[]): Used {
  return summed(programs, (pid) => Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024);
}

/** CPU time since each was started, in milliseconds. */
export function cpuUsed(programs: readonly Program[]): Used {
  return summed(programs, (pid) => {
    // Fields 14 and 15 (proc(5)), counted after the name, which may have spaces; in ticks of 10 ms.
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
    return (Number(fields[11]) + Number(fields[12])) * 10;
  });
}

function summed(programs: readonly Program[], of: (pid: number) => number): Used {
  const used = { registry: 0, nsmgr: 0, forwarder: 0, "wireguard-go": 0 };
  for (const { program, pid } of programs) if (program in used) used[program as keyof Used] += of(pid);
  return used;
}
