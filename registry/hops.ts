import { isProven, type Prover } from "../core/checkTokens.js";
import { MeshError } from "../core/error.js";
import { subjectOf } from "../core/jwt.js";
import type { TokenSource } from "../core/token.js";
import { checkCaller } from "../rpc/checkCaller.js";
import type { RegistryContext, RegistryPath } from "../rpc/registry.js";

/** The way that a registration came: who asked, through whom. */
export interface Hops {
  /** The identity of each hop, the one who asked first and this registry last; "" where it is not known. */
  readonly ids: readonly string[];
  /** The one who is at the other end of the connection, as its certificate says. */
  readonly peer: string;
  /** Whether it is known for sure that it is `ids[0]` who asks; else `peer` says so. */
  readonly proven: boolean;
  /** What the caller gets back: its path with the caller's token and ours in their places. */
  readonly path: RegistryPath;
  /** When the first of the caller's and our token ends, milliseconds since 1970. */
  readonly expires: number;
}

export interface HopsParts {
  readonly tokens: TokenSource;
  readonly prover?: Prover | undefined;
}

/**
 * Checks the tokens of the path, and writes the caller's and our own into it (contract 2.4). Throws "invalid" for an index outside of it,
 * "denied" for tokens that are not as they must be.
 */
export async function hopsOf(context: RegistryContext, { tokens, prover }: HopsParts, now: number): Promise<Hops> {
  const { index, tokens: given } = context.path ?? { index: 0, tokens: [] };
  if (!Number.isInteger(index) || index < 0 || index > Math.max(0, given.length - 1))
    throw new MeshError("invalid", `the index ${index} of the registration's path is outside of its ${given.length} segments`);
  const { caller, link } = context;
  if (caller !== undefined && caller.expires <= now) throw ended(caller.token, now - caller.expires);
  const checked = checkCaller(context, now, prover);
  const [first] = checked ?? [];
  const callerToken = caller?.token ?? given[index] ?? "";
  const own = await (link?.tokens ?? tokens)(subjectOf(callerToken));
  const walked = [...given.slice(0, index), callerToken, own.token];
  const ids = walked.map((token) => subjectOf(token) ?? "");
  return {
    ids,
    peer: link?.peer.id ?? ids[0] ?? "",
    proven: first === undefined || checked?.length === 1 || isProven(first, prover),
    path: { index, tokens: walked },
    expires: Math.min(own.expires, caller?.expires ?? own.expires),
  };
}

/**
 * Whether these hops may change what the stored ones made. The one who asked first may; so may a hop that it came through, on its own
 * behalf: a restarted nsmgr looks after what its clients registered. One who asked but cannot prove who it is (a client of NSM, whose
 * token shows no certificate) may by the same way as before. What nobody owns is anybody's.
 */
export function mayChange({ ids, peer, proven }: Pick<Hops, "ids" | "peer" | "proven">, stored: readonly string[]): boolean {
  const [asking = ""] = ids;
  const owner = stored[0] ?? "";
  const cameThrough = (id: string) => id !== "" && stored.slice(0, -1).includes(id);
  if (owner === "") return true;
  if (!proven) return asking === owner && cameThrough(peer);
  return asking === owner || cameThrough(asking);
}

/** Throws "denied" unless `mayChange`. */
export function mustOwn(what: string, hops: Pick<Hops, "ids" | "peer" | "proven">, stored: readonly string[]): void {
  if (mayChange(hops, stored)) return;
  const said = hops.ids[0] ? hops.ids[0] : "a caller without a token";
  const who = hops.proven ? said : `${hops.peer}, in the name of ${said},`;
  throw new MeshError("denied", `${what} belongs to ${stored[0]}; ${who} may not change it: choose another name`);
}

function ended(token: string, agoMs: number): MeshError {
  const who = subjectOf(token) ?? "the caller";
  return new MeshError("denied", `the token of ${who} ended ${Math.ceil(agoMs / 1_000)} s ago by this registry's clock; send a new one`);
}
