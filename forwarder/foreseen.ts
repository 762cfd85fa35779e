import type { Mechanism } from "../api/gen/connection/connection.js";
import { NODE_TUNNEL } from "../core/mechanism.js";
import { tunnelParameters } from "../core/parameters.js";
import type { KernelObject } from "../kernel/model.js";
import type { Side } from "./crossConnect.js";
import { type NodeView, tunnelDevice } from "./desired.js";

/**
 * What a connection will have in the kernel whatever the next hop answers, or most likely: its device in the node tunnel. Made while that
 * hop is asked, it costs no time. Nothing leads to it or from it yet, and no pod sees it.
 */
export function foreseen(id: string, client: Side, offered: readonly Mechanism[], { tunnel }: NodeView): KernelObject[] {
  if (client.kind === "node-tunnel") return [tunnelDevice(id, "client", client.vni, tunnel, tunnelParameters(client.mechanism).mtu)];
  // The first is what all but NSM's own forwarders take.
  const [first] = offered;
  if (first?.type !== NODE_TUNNEL) return [];
  const { source, mtu } = tunnelParameters(first);
  return source === undefined ? [] : [tunnelDevice(id, "endpoint", source.vni, tunnel, mtu)];
}
