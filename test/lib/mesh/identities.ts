import type { Identity } from "../../../identity/identity.js";
import { testIdentity } from "../identities.js";
import type { MeshWorld } from "../mesh.js";

/** Who a program of a mesh is: `registry`, `node/node-1/nsmgr`. */
export function meshIdentity({ clock, tokenLifetimeMs }: Pick<MeshWorld, "clock" | "tokenLifetimeMs">, path: string): Promise<Identity> {
  return testIdentity(`spiffe://test/${path}`, clock, { tokenLifetimeMs });
}
