import type { TokenSource } from "../../../core/token.js";
import { createTokenSource, generateKey } from "../../../identity/token.js";
import type { MeshWorld } from "../mesh.js";

/** One key for everybody: nobody checks signatures yet, and making keys is slow. */
const key = generateKey();

/** The tokens of one program of a mesh. */
export function meshTokens({ clock, tokenLifetimeMs }: Pick<MeshWorld, "clock" | "tokenLifetimeMs">, subject: string): TokenSource {
  return createTokenSource({ subject: `spiffe://test/${subject}`, key, lifetimeMs: tokenLifetimeMs, clock });
}
