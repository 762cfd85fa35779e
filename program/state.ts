import { chmodSync, closeSync, fsyncSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { open } from "lmdb";
import { MeshError } from "../core/error.js";

/**
 * A program's small facts on disk: JSON values by key, in the order of keys.
 *
 * They are about this machine's kernel: namespaces, devices, connections through it. What the page cache has survives the end of the
 * process, and that is all it has to survive: waiting for the disk would cost each request some milliseconds at each hop. A power cut
 * takes the kernel's state away as well, and may leave the file half written: then the store begins empty.
 */
export interface StateStore extends AsyncDisposable {
  get<T>(key: string): T | undefined;
  /** Resolves when a kill -9 cannot lose it. */
  put(key: string, value: unknown): Promise<void>;
  /** Resolves when it is gone for good; success also when it was not there. */
  remove(key: string): Promise<void>;
  /** What is there now under keys that begin with `prefix`. */
  entries<T>(prefix: string): Iterable<readonly [key: string, value: T]>;
}

const longestKey = 512;

/** Opens (and makes, mode 0700) the store in `dir`. `boot` names the run of the kernel. */
export function openStore(dir: string, boot: string = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()): StateStore {
  const database = openDatabase(dir, boot);
  return {
    get: <T>(key: string) => database.get(key) as T | undefined,
    // At once and in this thread: waiting for the one that writes in the background costs a request longer than the write itself.
    async put(key, value) {
      database.putSync(checked(key), value);
    },
    async remove(key) {
      database.removeSync(checked(key));
    },
    *entries<T>(prefix: string) {
      for (const { key, value } of database.getRange({ start: prefix, snapshot: true })) {
        if (!key.startsWith(prefix)) return;
        yield [key, value as T] as const;
      }
    },
    async [Symbol.asyncDispose]() {
      await database.close();
      flush(dir);
    },
  };
}

function openDatabase(dir: string, boot: string) {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    chmodSync(dir, 0o700);
    dropTorn(dir, boot);
    return open<unknown, string>({ path: dir, encoding: "json", overlappingSync: false, noSync: true, noSubdir: false });
  } catch (error) {
    throw new MeshError("internal", `cannot open the state in ${dir}: ${(error as Error).message}`, { cause: error });
  }
}

/** There while the file may be ahead of the disk, with the boot in which that is so. */
function openMark(dir: string): string {
  return path.join(dir, "open-in-boot");
}

function dropTorn(dir: string, boot: string): void {
  const mark = openMark(dir);
  const marked = readIfThere(mark);
  if (marked === boot) return;
  if (marked !== undefined) for (const file of ["data.mdb", "lock.mdb"]) rmSync(path.join(dir, file), { force: true });
  // On disk before anything of the store is.
  writeFileSync(mark, boot, { mode: 0o600, flush: true });
  sync(dir);
}

/** All is on disk: from here on the store outlives the kernel too. */
function flush(dir: string): void {
  sync(path.join(dir, "data.mdb"));
  rmSync(openMark(dir), { force: true });
}

function sync(file: string): void {
  const fd = openSync(file, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function checked(key: string): string {
  if (key !== "" && Buffer.byteLength(key) <= longestKey) return key;
  throw new MeshError("invalid", `a key of the state must have 1 to ${longestKey} bytes, got ${Buffer.byteLength(key)}`);
}
