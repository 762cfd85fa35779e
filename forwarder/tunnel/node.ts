import { deviceName } from "../../kernel/names.js";
import type { TunnelNode } from "../desired.js";
import type { Underlay } from "../mechanisms/ends.js";
import { wireguardMtu } from "../mtu.js";
import { aliasPrefix } from "../names.js";
import { tunnelAddress } from "./address.js";

/** The UDP port of VXLAN inside node tunnels: of no concern to anybody outside, and the same on all nodes. */
export const tunnelVxlanPort = 4789;

/** The node's end of its tunnels. The device's name follows from the identity: wireguard-go needs it to be one of a kind on the machine. */
export function tunnelNode(parts: {
  readonly subject: string;
  readonly keyFile: string;
  readonly publicKey: string;
  readonly listenPort: number;
  readonly underlay: Underlay;
}): TunnelNode {
  const { subject, underlay } = parts;
  return {
    device: deviceName("isw", subject),
    alias: `${aliasPrefix}tunnel`,
    listenPort: parts.listenPort,
    privateKeyFile: parts.keyFile,
    publicKey: parts.publicKey,
    address: tunnelAddress(subject),
    mtu: wireguardMtu(underlay),
    vxlanPort: tunnelVxlanPort,
  };
}
