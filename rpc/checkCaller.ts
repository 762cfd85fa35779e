import { checkTokens, type Prover } from "../core/checkTokens.js";
import { MeshError } from "../core/error.js";
import type { Jwt } from "../core/jwt.js";
import type { RegistryContext } from "./registry.js";

/**
 * The tokens of a registration's hops, the caller's last, checked as those of a connection's path are (contract 2.2 and 2.4).
 * Undefined where the call comes from no authenticated peer. Throws "denied".
 */
export function checkCaller({ link, caller, path }: RegistryContext, now: number, prover?: Prover): readonly Jwt[] | undefined {
  if (link === undefined) return undefined;
  if (caller === undefined)
    throw new MeshError("denied", "the caller presents no token; its metadata needs nsm-client-token and nsm-client-token-expires");
  const before = path === undefined ? [] : path.tokens.slice(0, path.index);
  const hops = [...before, caller.token].map((token, at) => ({ name: `hop ${at + 1}`, token }));
  return checkTokens(hops, link, now, prover);
}
