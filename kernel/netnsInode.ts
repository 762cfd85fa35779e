import fs from "node:fs";
import path from "node:path";
import { MeshError } from "../core/error.js";

/**
 * A path to the network namespace with that inode: a name in `folder`, else the oldest process in it, as a pod's first one stays as
 * long as the pod. "not-found" where there is none.
 */
export function findByInode(folder: string, device: number, inode: number): string {
  const found = candidates(folder).filter((candidate) => {
    const stats = statOf(candidate);
    return stats?.ino === inode && stats.dev === device;
  });
  const [first] = found.sort((a, b) => began(a) - began(b));
  if (first !== undefined) return first;
  throw new MeshError(
    "not-found",
    `no process and no name in ${folder} holds the network namespace inode://${device}/${inode}; does the forwarder see the host's processes?`,
  );
}

/** Processes end while we look, and some let nobody look. */
function statOf(file: string): fs.Stats | undefined {
  try {
    return fs.statSync(file);
  } catch {
    return undefined;
  }
}

/** When the process of a path began, in clock ticks since the machine did; a name comes before all processes. */
function began(candidate: string): number {
  const pid = /^\/proc\/(\d+)\//.exec(candidate)?.[1];
  if (pid === undefined) return -1;
  try {
    const line = fs.readFileSync(`/proc/${pid}/stat`, "utf8");
    // The 22nd field; the second, a name in brackets, may have anything in it.
    return Number(line.slice(line.lastIndexOf(")") + 2).split(" ")[19]);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

function candidates(folder: string): string[] {
  const names = fs.existsSync(folder) ? fs.readdirSync(folder).map((name) => path.join(folder, name)) : [];
  const pids = fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return [...names, ...pids.map((pid) => `/proc/${pid}/ns/net`)];
}
