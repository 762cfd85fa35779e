import { existsSync, readdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Clock } from "../../core/clock.js";
import { MeshError } from "../../core/error.js";
import { netnsPath } from "../../kernel/netns.js";
import { labFile, removeIfEmpty, runFolder, stateFolder } from "./files.js";
import { dropWaiters, lockLab } from "./lock.js";
import { namespacesOf, removeNetwork } from "./network.js";
import { isAlive, killProcesses, residents } from "./process.js";
import { type LabRecord, readLab } from "./record.js";
import { removeStaleSockets } from "./wireguard.js";

/** Takes a lab down; fine to call when there is none. Refuses while another nsmctl raises it. */
export async function downLab(prefix: string, clock: Clock): Promise<boolean> {
  const lab = readLab(prefix);
  if (lab?.phase === "raising" && isAlive(lab.raisedBy))
    throw new MeshError(
      "conflict",
      `process ${lab.raisedBy.pid} is raising the lab ${prefix}; wait for it or end it, then call this again`,
    );
  if (!existsSync(runFolder(prefix)) && !existsSync(stateFolder(prefix))) return false;
  await takeDown(prefix, clock);
  return lab !== undefined;
}

/** Removes everything that lab.json names, and lab.json last: interrupted anywhere, it can be called again. */
export async function takeDown(prefix: string, clock: Clock, lock: "locked" | "take" = "take"): Promise<void> {
  using _lock = lock === "take" ? await lockLab(prefix, clock) : undefined;
  const lab = readLab(prefix);
  if (lab !== undefined) {
    await endAll(lab, clock);
    removeNetwork(lab);
    await removeStaleSockets();
  }
  rmSync(stateFolder(prefix), { recursive: true, force: true });
  removeIfEmpty(dirname(stateFolder(prefix)));
  for (const name of readdirSync(runFolder(prefix)))
    if (!name.startsWith("lab.")) rmSync(join(runFolder(prefix), name), { recursive: true, force: true });
  dropWaiters(prefix);
  rmSync(labFile(prefix), { force: true });
}

// Killed, not asked: what they would tidy up goes away with the namespaces. Whoever else is in these goes too, wireguard-go first of all.
async function endAll(lab: LabRecord, clock: Clock): Promise<void> {
  await killProcesses(lab.programs, clock);
  const paths = namespacesOf(lab).map(netnsPath);
  for (let found = residents(paths); found.length > 0; found = residents(paths)) await killProcesses(found, clock);
}
