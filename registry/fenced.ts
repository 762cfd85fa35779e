import { MeshError } from "../core/error.js";
import type { Condition, Entry, Revision, Store, Write } from "./store.js";

/** A member of a cluster may end while it commits; a third time in a row means that the cluster is away. */
const mostLost = 3;
/** Two who write the same name at once meet once or twice; more often means that something writes without end. */
const mostAttempts = 16;

/**
 * Reads the key, lets `decide` say what to write instead (undefined: nothing), and writes it if nobody wrote the key meanwhile;
 * otherwise from the start. Resolves with the revision, or undefined when nothing was written. What `decide` throws ends it.
 *
 * After a commit of which nobody knows whether it happened it looks again: if it did, `decide` sees what it wrote.
 */
export async function fenced(
  store: Pick<Store, "get" | "commit">,
  key: string,
  decide: (found: Entry | undefined) => Write | undefined,
): Promise<Revision | undefined> {
  let lost = 0;
  for (let attempt = 0; attempt < mostAttempts; attempt++) {
    const found = await store.get(key);
    const write = decide(found);
    if (write === undefined) return undefined;
    const condition: Condition = { key, revision: found?.revision ?? 0 };
    const outcome = await store.commit({ conditions: [condition], writes: [write] }).catch((error: unknown) => {
      if (!(error instanceof MeshError && error.code === "unreachable") || ++lost === mostLost) throw error;
    });
    if (outcome?.ok) return outcome.revision;
  }
  throw new MeshError("conflict", `${key} was changed by others ${mostAttempts} times while it was written; try again`);
}
