import type { TunnelNode } from "../desired.js";
import { endpointText, type Underlay } from "../mechanisms/ends.js";
import type { OwnNode } from "./part.js";

/** What this node says of itself, and where others reach its node tunnel. */
export function ownNode(parts: {
  /** The SPIFFE id. */
  readonly id: string;
  readonly node: string;
  readonly site: string;
  readonly tunnel: Pick<TunnelNode, "publicKey" | "listenPort">;
  readonly underlay: Pick<Underlay, "ip" | "external">;
}): OwnNode {
  const { id, node, site, tunnel, underlay } = parts;
  const { ip, external } = underlay;
  const at = endpointText({ ip, port: tunnel.listenPort });
  const abroad =
    external === undefined
      ? at
      : external === "none"
        ? undefined
        : endpointText({ ip: external.host, port: external.port ?? tunnel.listenPort });
  return { id, node, site, publicKey: tunnel.publicKey, at, abroad };
}
