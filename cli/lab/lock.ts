import { linkSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Clock } from "../../core/clock.js";
import { MeshError } from "../../core/error.js";
import { removeIfEmpty, runFolder } from "./files.js";
import { isAlive, processOf, self } from "./process.js";
import { type LabRecord, needLab, type ProcessRecord, writeLab } from "./record.js";

const retryMs = 5;
const patienceMs = 10_000;

/** Changes lab.json while no other nsmctl does. `change` is synchronous and gets the file as it is now. */
export async function changeLab(prefix: string, clock: Clock, change: (lab: LabRecord) => LabRecord): Promise<LabRecord> {
  using _lock = await lockLab(prefix, clock);
  const changed = change(needLab(prefix));
  writeLab(changed);
  return changed;
}

/** Holds the lab's lock until it is disposed. The lock of a process that died is taken over. */
export async function lockLab(prefix: string, clock: Clock): Promise<Disposable> {
  const file = join(runFolder(prefix), "lab.lock");
  const end = clock.monotonic() + patienceMs;
  while (!take(prefix, file)) {
    dropDead(file);
    if (clock.monotonic() > end)
      throw new MeshError("conflict", `another nsmctl has held ${file} for ${patienceMs / 1000} s; end it, or remove the file`);
    await clock.sleep(retryMs, new AbortController().signal);
  }
  return {
    [Symbol.dispose]: () => {
      rmSync(file, { force: true });
      removeIfEmpty(runFolder(prefix));
      removeIfEmpty(dirname(runFolder(prefix)));
    },
  };
}

// Written beside and linked into place, so that the file is never there without its owner's name in it.
function take(prefix: string, file: string): boolean {
  mkdirSync(runFolder(prefix), { recursive: true, mode: 0o755 });
  const mine = `${file}.${process.pid}`;
  try {
    writeFileSync(mine, JSON.stringify(self()), { mode: 0o600 });
    linkSync(mine, file);
    return true;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    // Not there any more: a lab went down and took its folder along.
    if (code === "EEXIST" || code === "ENOENT") return false;
    throw error;
  } finally {
    rmSync(mine, { force: true });
  }
}

/** Removes what others left who died while they waited for the lock. For the one who holds it. */
export function dropWaiters(prefix: string): void {
  for (const name of readdirSync(runFolder(prefix))) {
    const [, pid] = /^lab\.lock\.(\d+)$/.exec(name) ?? [];
    const waiting = pid === undefined ? undefined : processOf(Number(pid));
    if (pid !== undefined && (waiting === undefined || !isAlive(waiting))) rmSync(join(runFolder(prefix), name), { force: true });
  }
}

function dropDead(file: string): void {
  try {
    const owner = JSON.parse(readFileSync(file, "utf8")) as ProcessRecord;
    if (!isAlive(owner)) rmSync(file, { force: true });
  } catch {
    // Its owner let go while we looked.
  }
}
