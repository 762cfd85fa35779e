import { MeshError } from "../core/error.js";

/** A program's small facts on disk: JSON values by key, in the order of keys. */
export interface StateStore extends AsyncDisposable {
  get<T>(key: string): T | undefined;
  /** Resolves when a kill -9 (or a power cut) cannot lose it. */
  put(key: string, value: unknown): Promise<void>;
  /** Resolves when it is gone for good; success also when it was not there. */
  remove(key: string): Promise<void>;
  entries<T>(prefix: string): Iterable<readonly [key: string, value: T]>;
}

/** Opens (and makes, mode 0700) the store in `dir`. One process at a time. */
export function openStore(dir: string): StateStore {
  throw new MeshError("unsupported", `cannot open ${dir} yet`);
}
