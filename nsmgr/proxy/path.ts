import type { Token } from "../../core/chain.js";
import type { RegistryContext, RegistryPath } from "../../rpc/registry.js";

/** The path of a registration with this hop added: the tokens before it, the caller's, and its own. */
function nextPath(path: RegistryPath | undefined, caller: Token | undefined, own: Token): RegistryPath {
  const before = path === undefined ? [] : path.tokens.slice(0, path.index);
  const tokens = caller === undefined ? [...before, own.token] : [...before, caller.token, own.token];
  return { index: tokens.length - 1, tokens };
}

/** What goes with a registration that is passed on: the path one hop longer on the way there, its index one less on the way back. */
export function onward(context: RegistryContext, own: Token): RegistryContext {
  const path = nextPath(context.path, context.caller, own);
  const { returnPath } = context;
  const index = context.caller === undefined ? path.index : path.index - 1;
  return { signal: context.signal, path, ...(returnPath && { returnPath: ({ tokens }: RegistryPath) => returnPath({ index, tokens }) }) };
}
