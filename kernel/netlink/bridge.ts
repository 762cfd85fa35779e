/** Bridges and their ports. */
import { nested, readU8, text, u8, u16, u32 } from "./attributes.js";
import {
  createLink,
  IFLA_INFO_DATA,
  IFLA_INFO_KIND,
  IFLA_INFO_SLAVE_DATA,
  IFLA_INFO_SLAVE_KIND,
  IFLA_LINKINFO,
  type Link,
  type LinkSettings,
  linkBody,
  RTM_NEWLINK,
} from "./link.js";
import type { Request } from "./message.js";

const IFLA_BR_STP_STATE = 5;
const IFLA_BR_VLAN_FILTERING = 7;
const IFLA_BR_MCAST_SNOOPING = 23;
const IFLA_BR_MCAST_QUERIER = 25;
const IFLA_BR_NF_CALL_IPTABLES = 36;
const IFLA_BR_NF_CALL_IP6TABLES = 37;
const IFLA_BR_NF_CALL_ARPTABLES = 38;
const IFLA_BR_VLAN_DEFAULT_PVID = 39;
const IFLA_BRPORT_LEARNING = 8;
const IFLA_BRPORT_UNICAST_FLOOD = 9;
const IFLA_BRPORT_MULTICAST_ROUTER = 25;
const IFLA_BRPORT_NEIGH_SUPPRESS = 32;
const IFLA_BRPORT_ISOLATED = 33;
const MDB_RTR_TYPE_TEMP_QUERY = 1; // as a port comes: it is one while a querier is heard from it
const MDB_RTR_TYPE_PERM = 2;

export interface BridgeData {
  readonly multicastSnooping: boolean;
  readonly querier: boolean;
}

/** What a port of a bridge does. */
export interface BridgePortData {
  readonly flood: boolean;
  readonly learning: boolean;
  readonly neighSuppress: boolean;
  readonly isolated: boolean;
  readonly multicastRouter: boolean;
}

export function createBridge(link: LinkSettings, data: BridgeData): Request {
  // Without a VLAN of its own each entry is there once.
  return createLink(`create the bridge ${link.name}`, link, "bridge", [...bridgeAttributes(data), u16(IFLA_BR_VLAN_DEFAULT_PVID, 0)]);
}

/** Changes a bridge in place. */
export function changeBridge(what: string, link: Link, data: BridgeData): Request {
  // Not every kernel has VLANs to be turned off.
  const vlans = bridgeData(link).vlanFiltering ? [u8(IFLA_BR_VLAN_FILTERING, 0)] : [];
  const info = nested(IFLA_LINKINFO, text(IFLA_INFO_KIND, "bridge"), nested(IFLA_INFO_DATA, ...bridgeAttributes(data), ...vlans));
  return { what, type: RTM_NEWLINK, body: linkBody(link.index, info) };
}

/** Changes a device that is a port of a bridge. */
export function changeBridgePort(what: string, index: number, data: BridgePortData): Request {
  const flags = nested(
    IFLA_INFO_SLAVE_DATA,
    u8(IFLA_BRPORT_UNICAST_FLOOD, Number(data.flood)),
    u8(IFLA_BRPORT_LEARNING, Number(data.learning)),
    u8(IFLA_BRPORT_NEIGH_SUPPRESS, Number(data.neighSuppress)),
    u8(IFLA_BRPORT_ISOLATED, Number(data.isolated)),
    u8(IFLA_BRPORT_MULTICAST_ROUTER, data.multicastRouter ? MDB_RTR_TYPE_PERM : MDB_RTR_TYPE_TEMP_QUERY),
  );
  return { what, type: RTM_NEWLINK, body: linkBody(index, nested(IFLA_LINKINFO, text(IFLA_INFO_SLAVE_KIND, "bridge"), flags)) };
}

export function bridgeData({ data }: Link): BridgeData & { readonly stp: boolean; readonly vlanFiltering: boolean } {
  const on = (type: number): boolean => (readU8(data, type) ?? 0) !== 0;
  return {
    multicastSnooping: on(IFLA_BR_MCAST_SNOOPING),
    querier: on(IFLA_BR_MCAST_QUERIER),
    stp: on(IFLA_BR_STP_STATE),
    vlanFiltering: on(IFLA_BR_VLAN_FILTERING),
  };
}

export function bridgePortData({ port }: Link): BridgePortData {
  const on = (type: number): boolean => (readU8(port, type) ?? 0) !== 0;
  return {
    flood: on(IFLA_BRPORT_UNICAST_FLOOD),
    learning: on(IFLA_BRPORT_LEARNING),
    neighSuppress: on(IFLA_BRPORT_NEIGH_SUPPRESS),
    isolated: on(IFLA_BRPORT_ISOLATED),
    multicastRouter: readU8(port, IFLA_BRPORT_MULTICAST_ROUTER) === MDB_RTR_TYPE_PERM,
  };
}

/** No spanning tree, and what is bridged is not shown to the rules for what is routed. */
function bridgeAttributes({ multicastSnooping, querier }: BridgeData): Buffer[] {
  return [
    u32(IFLA_BR_STP_STATE, 0),
    ...[u8(IFLA_BR_MCAST_SNOOPING, Number(multicastSnooping)), u8(IFLA_BR_MCAST_QUERIER, Number(querier))],
    ...[u8(IFLA_BR_NF_CALL_IPTABLES, 0), u8(IFLA_BR_NF_CALL_IP6TABLES, 0), u8(IFLA_BR_NF_CALL_ARPTABLES, 0)],
  ];
}
