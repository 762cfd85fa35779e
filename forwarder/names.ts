import { deviceName } from "../kernel/names.js";
import type { CrossConnect, Side } from "./crossConnect.js";

/** Which side of a cross-connect an object belongs to. */
export type Role = "client" | "endpoint";

/** What starts every owner tag in the kernel. */
export const aliasPrefix = "isthmus:";

const prefixes = { kernel: "p", "node-tunnel": "t", wireguard: "g", vxlan: "v" } as const satisfies Record<Side["kind"], string>;

/** The device of one side in the mesh namespace. It does not depend on the peer, so that a reselect keeps it. */
export function deviceOf(id: string, role: Role, side: Pick<Side, "kind">): string {
  return deviceName(`is${prefixes[side.kind]}${role === "client" ? "c" : "e"}`, id);
}

/** `isthmus:CONNECTION-ID:ROLE`. */
export function aliasOf(id: string, role: Role): string {
  return `${aliasPrefix}${id}:${role}`;
}

/** Both devices of a cross-connect. */
export function devicesOf(connect: CrossConnect): { readonly client: string; readonly endpoint: string } {
  return { client: deviceOf(connect.id, "client", connect.client), endpoint: deviceOf(connect.id, "endpoint", connect.endpoint) };
}
