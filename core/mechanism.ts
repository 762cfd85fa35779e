import type { Connection, Mechanism } from "../api/gen/connection/connection.js";
import { contextOf } from "./context.js";
import { MeshError } from "./error.js";
import { KERNEL, NODE_TUNNEL, VXLAN, WIREGUARD } from "./mechanismTypes.js";

export * from "./interfaceName.js";
export * from "./mechanismTypes.js";
export * from "./parameters.js";

/** Where the user's wish for a mechanism travels: ConnectionContext.extra_context. */
export const PREFERRED = "isthmus.mechanism";

const names = { kernel: KERNEL, "node-tunnel": NODE_TUNNEL, wireguard: WIREGUARD, vxlan: VXLAN } as const;

/** How users name mechanisms. */
export type MechanismName = keyof typeof names;

/** How users name this mechanism; its type in lower case where we do not know it. */
export function mechanismName(m: Mechanism): string {
  const known = Object.entries(names).find(([, type]) => type === m.type);
  return known?.[0] ?? m.type.toLowerCase();
}

/** Whether a user may name a mechanism so. */
export function isMechanismName(name: string): name is MechanismName {
  return Object.hasOwn(names, name);
}

/** The mechanism that the user asked for; undefined for "auto" and none. Throws "invalid" for a name that is none. */
export function preferred(conn: Connection): MechanismName | undefined {
  const name = contextOf(conn).extraContext[PREFERRED] ?? "";
  if (name === "" || name === "auto") return undefined;
  if (isMechanismName(name)) return name;
  throw new MeshError("invalid", `there is no mechanism ${JSON.stringify(name)}; allowed: auto, ${Object.keys(names).join(", ")}`);
}
