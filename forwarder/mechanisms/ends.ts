import { isIP } from "node:net";
import type { Connection } from "../../api/gen/connection/connection.js";
import { MeshError } from "../../core/error.js";
import { decodeJwt } from "../../core/jwt.js";
import type { VxlanEnd } from "../../core/mechanism.js";
import { siteName } from "../../core/siteNames.js";

/** The node's own end on the underlay. */
export interface Underlay {
  /** NSM_TUNNEL_IP, or the node's first address that others can reach. */
  readonly ip: string;
  /** Of the link that has it. */
  readonly mtu: number;
  /** What carries WireGuard on this node. */
  readonly wireguard: "kernel" | "wireguard-go";
  /** Where nodes of other sites reach it; undefined: at `ip`, "none": nowhere. */
  readonly external?: { readonly host: string; readonly port?: number | undefined } | "none" | undefined;
}

/** Where the other side of a connection reaches this node: each site by the address that is good there. */
export class OwnEnd {
  readonly #parts: { readonly underlay: Underlay; readonly site: string; readonly trustDomain: string };

  constructor(parts: { readonly underlay: Underlay; readonly site: string; readonly trustDomain: string }) {
    this.#parts = parts;
  }

  /** At a UDP port of this node; undefined where the other side does not reach it. `mapped`: the one whose port outside is configured. */
  at(connection: Connection, port: number, mapped = false): VxlanEnd | undefined {
    const { ip, external } = this.#parts.underlay;
    if (external === undefined || !this.#crossesSites(connection)) return { ip, port };
    if (external === "none") return undefined;
    return { ip: external.host, port: mapped ? (external.port ?? port) : port };
  }

  /** Whether the other side reaches this node at all. */
  isReached(connection: Connection): boolean {
    return this.#parts.underlay.external !== "none" || !this.#crossesSites(connection);
  }

  /** Whether a request that is to go on goes to another site, or one that has come here came from there. */
  #crossesSites({ networkServiceEndpointName, path }: Connection): boolean {
    const { site, trustDomain } = this.#parts;
    const there = siteName(networkServiceEndpointName).site;
    if (there !== undefined && there !== site) return true;
    // Before us was our nsmgr, and before that the other forwarder; a request of this node has its client there.
    const asking = decodeJwt(path?.pathSegments[path.index - 2]?.token ?? "");
    return asking !== undefined && !asking.subject.startsWith(`spiffe://${trustDomain}/`);
  }
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
