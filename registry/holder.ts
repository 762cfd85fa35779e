import { readFileSync } from "node:fs";

/** Names a process so that no later one can be mistaken for it: the machine's boot, its pid, and when it started. */
export function thisProcess(): string {
  return describe(process.pid) ?? `unknown ${process.pid}`;
}

/** Whether the process that called itself so still runs on this machine. */
export function isRunning(holder: string): boolean {
  const pid = Number(holder.split(" ")[1]);
  return Number.isSafeInteger(pid) && describe(pid) === holder;
}

function describe(pid: number): string | undefined {
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // proc(5): the name is in parentheses and may hold anything; the state follows it, the start time 19 fields later.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    // Dead, and only not yet waited for by its parent.
    if (fields[0] === "Z" || fields[0] === "X") return undefined;
    return `${boot} ${pid} ${fields[19]}`;
  } catch {
    return undefined;
  }
}
