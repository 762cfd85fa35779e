import { asMeshError, type ErrorCode, MeshError } from "./error.js";

/** What the next candidate would say as well. */
const final: ReadonlySet<ErrorCode> = new Set(["invalid", "exists", "netns-gone", "moved", "cancelled"]);

/**
 * The first success, one candidate after the other. Stops early where the next would fail as well, or nobody waits any more.
 * One failure is thrown as it is; of several, a sentence with all of them and the code of the first.
 */
export async function firstSuccess<C, R>(parts: {
  readonly candidates: readonly C[];
  readonly what: string;
  readonly name: (candidate: C) => string;
  readonly signal: AbortSignal;
  readonly attempt: (candidate: C) => Promise<R>;
}): Promise<R> {
  const failures: { readonly name: string; readonly error: MeshError }[] = [];
  for (const candidate of parts.candidates) {
    try {
      return await parts.attempt(candidate);
    } catch (thrown) {
      const error = asMeshError(thrown);
      if (parts.signal.aborted || final.has(error.code)) throw error;
      failures.push({ name: parts.name(candidate), error });
    }
  }
  const first = failures[0]?.error ?? new MeshError("internal", `there was no candidate for ${parts.what}`);
  if (failures.length <= 1) throw first;
  const said = failures.map(({ name, error }) => `${name}: ${error.message}`).join("; ");
  throw new MeshError(first.code, `none of the ${failures.length} candidates for ${parts.what} worked: ${said}`, {
    cause: first,
    hop: first.hop,
  });
}
