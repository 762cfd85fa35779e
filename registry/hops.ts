import { MeshError } from "../core/error.js";
import { subjectOf, type TokenSource } from "../core/token.js";
import type { RegistryContext, RegistryPath } from "../rpc/registry.js";

/** The way that a registration came: who asked, through whom. */
export interface Hops {
  /** The identity of each hop, the one who asked first and this registry last; "" where it is not known. */
  readonly ids: readonly string[];
  /** What the caller gets back: its path with the caller's token and ours in their places. */
  readonly path: RegistryPath;
  /** When the first of the caller's and our token ends, milliseconds since 1970. */
  readonly expires: number;
}

/** Writes the caller's token and our own into the path (contract 2.4). Throws "invalid" for an index outside of it, "denied" for a token that has ended. */
export async function hopsOf(context: RegistryContext, tokens: TokenSource, now: number): Promise<Hops> {
  const { index, tokens: given } = context.path ?? { index: 0, tokens: [] };
  if (!Number.isInteger(index) || index < 0 || index > Math.max(0, given.length - 1))
    throw new MeshError("invalid", `the index ${index} of the registration's path is outside of its ${given.length} segments`);
  const { caller } = context;
  if (caller !== undefined && caller.expires <= now) throw ended(caller.token, now - caller.expires);
  const callerToken = caller?.token ?? given[index] ?? "";
  const own = await tokens(subjectOf(callerToken));
  const walked = [...given.slice(0, index), callerToken, own.token];
  return {
    ids: walked.map((token) => subjectOf(token) ?? ""),
    path: { index, tokens: walked },
    expires: Math.min(own.expires, caller?.expires ?? own.expires),
  };
}

/**
 * Whether these hops may change what the stored ones made. The one who asked first may; so may a hop that it came through, on its own
 * behalf: a restarted nsmgr looks after what its clients registered. What nobody owns is anybody's.
 */
export function mayChange(hops: readonly string[], stored: readonly string[]): boolean {
  const [asking = ""] = hops;
  const owner = stored[0] ?? "";
  return owner === "" || asking === owner || (asking !== "" && stored.slice(0, -1).includes(asking));
}

/** Throws "denied" unless `mayChange`. */
export function mustOwn(what: string, hops: readonly string[], stored: readonly string[]): void {
  if (mayChange(hops, stored)) return;
  const who = hops[0] ? hops[0] : "a caller without a token";
  throw new MeshError("denied", `${what} belongs to ${stored[0]}; ${who} may not change it: choose another name`);
}

function ended(token: string, agoMs: number): MeshError {
  const who = subjectOf(token) ?? "the caller";
  return new MeshError("denied", `the token of ${who} ended ${Math.ceil(agoMs / 1_000)} s ago by this registry's clock; send a new one`);
}
