import type { Connection } from "../../api/gen/connection/connection.js";
import { contextOf, ipContextOf, withContext } from "../../core/context.js";
import { BESIDE } from "../../core/excluded.js";
import { mechanismName, NODE_TUNNEL } from "../../core/mechanism.js";
import { withOwnMetrics } from "../../core/path.js";
import { membershipName } from "../../core/segment/membership.js";
import { UP } from "../../core/states.js";
import { parseAddress } from "../addresses.js";
import type { KernelSide } from "../crossConnect.js";
import { counterMetrics } from "../metrics.js";
import { lower } from "../mtu.js";
import { gatewayFor } from "./addressing.js";
import { isL2, podAddress, trunkDevice } from "./devices.js";
import type { LocalSegment } from "./local.js";
import type { Member } from "./part.js";
import type { Segments } from "./segments.js";

/** What a client is told that has become a member: as if this node were the endpoint that it asked for. */
export function answer(forwarder: string, local: LocalSegment, conn: Connection, member: Member): Connection {
  const { segment } = local.part;
  const routed = !isL2(segment);
  const ip = {
    ...ipContextOf(conn),
    srcIpAddrs: member.addresses.map((address) => podAddress(segment, address)),
    dstIpAddrs: routed ? local.leases.routers.map(parseAddress) : [],
    srcRoutes: routed ? segment.prefixes.map((prefix) => ({ prefix, nextHop: gatewayFor(prefix) })) : [],
    dstRoutes: [],
  };
  const { name, dnsDomain } = segment;
  const resolver = { dnsServerIps: [...local.leases.routers], searchDomains: [`${name}.${dnsDomain}`] };
  const answered = withContext(conn, {
    ipContext: ip,
    MTU: lower(contextOf(conn).MTU, local.mtu),
    ...(dnsDomain === "" ? {} : { dnsContext: { configs: [resolver] } }),
    ...(member.beside ? { extraContext: { ...contextOf(conn).extraContext, [BESIDE]: "true" } } : {}),
  });
  const named = {
    ...answered,
    mechanism: member.side.mechanism,
    payload: routed ? "IP" : "ETHERNET",
    networkServiceEndpointName: membershipName(segment.name, forwarder),
    state: UP,
  };
  return withOwnMetrics(named, sideMetrics(member.side));
}

/** As with other connections, a refresh tells what has passed. */
export async function counted(segments: Segments, id: string): Promise<Record<string, string>> {
  const [found] = (await segments.local(id)?.counters([id])) ?? [];
  if (found === undefined) return {};
  const { rxBytes, txBytes, rxPackets, txPackets, drops } = found.counters;
  // Nothing goes round this port: it has counted both ways itself.
  const beyond = { rxBytes: txBytes, txBytes: rxBytes, rxPackets: txPackets, txPackets: rxPackets, drops: 0 };
  return counterMetrics({ rxBytes, txBytes, rxPackets, txPackets, drops }, beyond);
}

/** What this hop says of the two sides: a pod's interface, and the way to all other nodes, which is encrypted. */
function sideMetrics({ mechanism, name }: KernelSide): Record<string, string> {
  return {
    "isthmus.server_mechanism": mechanismName(mechanism),
    "isthmus.client_mechanism": "node-tunnel",
    server_interface: `${mechanism.type}/${name}`,
    client_interface: `${NODE_TUNNEL}/${trunkDevice}`,
    "isthmus.encrypted": "true",
  };
}
