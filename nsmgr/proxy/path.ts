import type { Token } from "../../core/chain.js";
import type { RegistryPath } from "../../rpc/registry.js";

/** The path of a registration with this hop added: the tokens before it, the caller's, and its own. */
export function nextPath(path: RegistryPath | undefined, caller: Token | undefined, own: Token): RegistryPath {
  const before = path === undefined ? [] : path.tokens.slice(0, path.index);
  const tokens = caller === undefined ? [...before, own.token] : [...before, caller.token, own.token];
  return { index: tokens.length - 1, tokens };
}
