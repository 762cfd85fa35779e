import { chmodSync, mkdirSync } from "node:fs";
import { open } from "lmdb";
import { MeshError } from "../core/error.js";

/** A program's small facts on disk: JSON values by key, in the order of keys. */
export interface StateStore extends AsyncDisposable {
  get<T>(key: string): T | undefined;
  /** Resolves when a kill -9 (or a power cut) cannot lose it. Puts of the same moment share one write to disk. */
  put(key: string, value: unknown): Promise<void>;
  /** Resolves when it is gone for good; success also when it was not there. */
  remove(key: string): Promise<void>;
  /** What is there now under keys that begin with `prefix`. */
  entries<T>(prefix: string): Iterable<readonly [key: string, value: T]>;
}

const longestKey = 512;

/** Opens (and makes, mode 0700) the store in `dir`. */
export function openStore(dir: string): StateStore {
  const database = openDatabase(dir);
  return {
    get: <T>(key: string) => database.get(key) as T | undefined,
    async put(key, value) {
      await database.put(checked(key), value);
    },
    async remove(key) {
      await database.remove(checked(key));
    },
    *entries<T>(prefix: string) {
      for (const { key, value } of database.getRange({ start: prefix, snapshot: true })) {
        if (!key.startsWith(prefix)) return;
        yield [key, value as T] as const;
      }
    },
    async [Symbol.asyncDispose]() {
      await database.close();
    },
  };
}

function openDatabase(dir: string) {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    chmodSync(dir, 0o700);
    // Without overlapping sync a put resolves when the disk has it, not when this process sees it.
    return open<unknown, string>({ path: dir, encoding: "json", overlappingSync: false, noSubdir: false });
  } catch (error) {
    throw new MeshError("internal", `cannot open the state in ${dir}: ${(error as Error).message}`, { cause: error });
  }
}

function checked(key: string): string {
  if (key !== "" && Buffer.byteLength(key) <= longestKey) return key;
  throw new MeshError("invalid", `a key of the state must have 1 to ${longestKey} bytes, got ${Buffer.byteLength(key)}`);
}
