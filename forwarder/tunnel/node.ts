import { deviceName } from "../../kernel/names.js";
import type { TunnelNode } from "../desired.js";
import type { Underlay } from "../mechanisms/ends.js";
import { wireguardMtu } from "../mtu.js";
import { aliasPrefix } from "../names.js";
import { tunnelAddress } from "./address.js";

/** The UDP port of VXLAN inside node tunnels: of no concern to anybody outside, and the same on all nodes. */
export const tunnelVxlanPort = 4789;

/** The node's end of its tunnels. The device's name follows from the node's own id: wireguard-go needs it to be one of a kind on the machine. */
export function tunnelNode(parts: {
  /** The SPIFFE id. */
  readonly id: string;
  /** One of a kind on the machine, and the same after a restart. */
  readonly node: string;
  readonly keyFile: string;
  readonly publicKey: string;
  readonly listenPort: number;
  readonly underlay: Underlay;
}): TunnelNode {
  const { id, node, underlay } = parts;
  return {
    device: deviceName("isw", node),
    alias: `${aliasPrefix}tunnel`,
    listenPort: parts.listenPort,
    privateKeyFile: parts.keyFile,
    publicKey: parts.publicKey,
    address: tunnelAddress(id),
    mtu: wireguardMtu(underlay),
    vxlanPort: tunnelVxlanPort,
  };
}
