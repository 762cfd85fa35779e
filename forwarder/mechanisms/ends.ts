import { isIP } from "node:net";
import { MeshError } from "../../core/error.js";

/** The node's own end on the underlay. */
export interface Underlay {
  /** NSM_TUNNEL_IP, or the node's first address that others can reach. */
  readonly ip: string;
  /** Of the link that has it. */
  readonly mtu: number;
  /** What carries WireGuard on this node. */
  readonly wireguard: "kernel" | "wireguard-go";
}

/** `192.0.2.1:51820` or `[2001:db8::1]:51820`. */
export function endpointText(end: { readonly ip: string; readonly port: number }): string {
  return isIP(end.ip) === 6 ? `[${end.ip}]:${end.port}` : `${end.ip}:${end.port}`;
}

/** The end that must be there by now. */
export function present<E>(end: E | undefined, type: string, which: "source" | "destination"): E {
  if (end !== undefined) return end;
  const who = which === "source" ? "the request" : "the answer";
  throw new MeshError("invalid", `${who} has ${type} without its ${which === "source" ? "src" : "dst"} parameters`);
}
