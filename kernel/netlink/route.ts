import { AF_INET, AF_INET6 } from "../ffi/socket.js";
import { type Attributes, align, attribute, nested, parseAttributes, parseNested, readU32, u32 } from "./attributes.js";
import { canonicalIp, familyOf, ipBytes, ipText, networkOf, parsePrefix, prefixText } from "./ip.js";
import { NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, type Request } from "./message.js";
import type { NetlinkSocket } from "./socket.js";

export const RTM_NEWROUTE = 24;
export const RTM_DELROUTE = 25;
const RTM_GETROUTE = 26;
const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PRIORITY = 6;
const RTA_PREFSRC = 7;
const RTA_METRICS = 8;
const RTA_MULTIPATH = 9;
const RTA_TABLE = 15;
const RTA_VIA = 18;
const RTAX_MTU = 2;
const TABLE_MAIN = 254;
const SCOPE_UNIVERSE = 0;
const SCOPE_LINK = 253;
const SCOPE_NOWHERE = 255; // in a deletion: any
const TYPE_UNICAST = 1;
const RTNH_F_ONLINK = 4;
/** What IPv6 has for none. */
const usualMetric6 = 1024;
const HEADER = 12;
const HOP_HEADER = 8;

/** Routes of ours bear it as their protocol, as those of a routing daemon bear its number. */
export const ourProtocol = 105;

/** A route over one device. */
export interface RouteValue {
  readonly prefix: string;
  /** The main table unless told. */
  readonly table?: number | undefined;
  readonly metric?: number | undefined;
  readonly via?: string | undefined;
  /** Several gateways over the device; one that is `via` is counted once. */
  readonly hops?: readonly string[] | undefined;
  readonly source?: string | undefined;
  readonly mtu?: number | undefined;
}

export interface FoundRoute extends RouteValue {
  readonly index: number;
}

/** `how` is "add" (refused where any route to the prefix exists) or "replace" (takes the place of one). */
export function addRoute(what: string, index: number, route: RouteValue, how: "add" | "replace"): Request {
  const flags = NLM_F_CREATE | (how === "add" ? NLM_F_EXCL : NLM_F_REPLACE);
  const scope = gatewaysOf(route).length === 0 ? SCOPE_LINK : SCOPE_UNIVERSE;
  return { what, type: RTM_NEWROUTE, flags, body: routeBody(index, route, scope) };
}

export function deleteRoute(what: string, index: number, route: RouteValue): Request {
  return {
    what,
    type: RTM_DELROUTE,
    body: routeBody(index, { prefix: route.prefix, table: route.table, metric: route.metric }, SCOPE_NOWHERE),
  };
}

/** Our routes over one device, or over all with index 0, in whatever table. */
export function dumpRoutes(socket: NetlinkSocket, index: number): FoundRoute[] {
  return [AF_INET, AF_INET6].flatMap((family) => dumpFamily(socket, family, index));
}

/** The devices that an RTM_NEWROUTE or RTM_DELROUTE is about. */
export function routeDevices(body: Buffer): number[] {
  const attributes = parseAttributes(body.subarray(HEADER));
  const index = readU32(attributes, RTA_OIF);
  return index === undefined ? [...new Set(hopsOf(attributes).map((hop) => hop.index))] : [index];
}

/** The body of an RTM_NEWROUTE; undefined for one that is not ours. */
export function decodeRoute(body: Buffer): FoundRoute | undefined {
  const attributes = parseAttributes(body.subarray(HEADER));
  const hops = hopsOf(attributes);
  const index = readU32(attributes, RTA_OIF) ?? hops[0]?.index;
  if (body.readUInt8(5) !== ourProtocol || index === undefined) return undefined;
  const bytes = attributes.get(RTA_DST) ?? Buffer.alloc(body.readUInt8(0) === AF_INET ? 4 : 16);
  const gateway = gatewayIn(attributes);
  const source = attributes.get(RTA_PREFSRC);
  const table = readU32(attributes, RTA_TABLE) ?? body.readUInt8(4);
  const metric = readU32(attributes, RTA_PRIORITY) ?? 0;
  const mtu = readU32(parseNested(attributes, RTA_METRICS), RTAX_MTU);
  return {
    index,
    prefix: prefixText(bytes, body.readUInt8(1)),
    ...(table === TABLE_MAIN ? {} : { table }),
    ...(metric === 0 || (body.readUInt8(0) === AF_INET6 && metric === usualMetric6) ? {} : { metric }),
    ...(gateway === undefined ? {} : { via: gateway }),
    // One over another device, which is not ours, shows as a gateway that is not wanted.
    ...(hops.length === 0 ? {} : { hops: hops.map((hop) => (hop.index === index ? (hop.gateway ?? "none") : `over ${hop.index}`)).sort() }),
    ...(source === undefined ? {} : { source: ipText(source) }),
    ...(mtu === undefined ? {} : { mtu }),
  };
}

function dumpFamily(socket: NetlinkSocket, family: number, index: number): FoundRoute[] {
  const filter = index === 0 ? [] : [u32(RTA_OIF, index)];
  const body = Buffer.concat([header(family, 0, { protocol: ourProtocol }), ...filter]);
  return socket
    .dump({ what: "list the routes", type: RTM_GETROUTE, body })
    .map(decodeRoute)
    .filter((route) => route !== undefined);
}

function routeBody(index: number, route: RouteValue, scope: number): Buffer {
  const { family, bytes, length } = networkOf(parsePrefix(route.prefix));
  const gateways = gatewaysOf(route).map((gateway) => gatewayAttribute(family, ipBytes(gateway)));
  const flags = gateways.length === 1 ? RTNH_F_ONLINK : 0;
  const attributes = [attribute(RTA_DST, bytes)];
  if (gateways.length > 1) attributes.push(attribute(RTA_MULTIPATH, Buffer.concat(gateways.map((gateway) => hop(index, gateway)))));
  else attributes.push(u32(RTA_OIF, index));
  const { table = TABLE_MAIN } = route;
  if (table > 255) attributes.push(u32(RTA_TABLE, table));
  if (gateways.length === 1) attributes.push(...gateways);
  if (route.metric !== undefined) attributes.push(u32(RTA_PRIORITY, route.metric));
  if (route.source !== undefined) attributes.push(attribute(RTA_PREFSRC, ipBytes(route.source)));
  if (route.mtu !== undefined) attributes.push(nested(RTA_METRICS, u32(RTAX_MTU, route.mtu)));
  return Buffer.concat([
    header(family, length, { protocol: ourProtocol, table: table > 255 ? 0 : table, scope, type: TYPE_UNICAST, flags }),
    ...attributes,
  ]);
}

/** All gateways, canonical and sorted. */
export function gatewaysOf({ via, hops = [] }: Pick<RouteValue, "via" | "hops">): string[] {
  return [...new Set([...(via === undefined ? [] : [via]), ...hops].map(canonicalIp))].sort();
}

function gatewayIn(attributes: Attributes): string | undefined {
  const gateway = attributes.get(RTA_GATEWAY) ?? attributes.get(RTA_VIA)?.subarray(2);
  return gateway && ipText(gateway);
}

/** The list of `struct rtnexthop`, each with attributes of its own. */
function hopsOf(attributes: Attributes): { readonly index: number; readonly gateway: string | undefined }[] {
  const list = attributes.get(RTA_MULTIPATH) ?? Buffer.alloc(0);
  const hops = [];
  for (let at = 0; at + HOP_HEADER <= list.length; ) {
    const length = list.readUInt16LE(at);
    if (length < HOP_HEADER || at + length > list.length) break;
    const inside = parseAttributes(list.subarray(at + HOP_HEADER, at + length));
    hops.push({ index: list.readInt32LE(at + 4), gateway: gatewayIn(inside) });
    at += align(length);
  }
  return hops;
}

function hop(index: number, gateway: Buffer): Buffer {
  const bytes = Buffer.alloc(HOP_HEADER);
  bytes.writeUInt16LE(HOP_HEADER + gateway.length, 0);
  bytes.writeUInt8(RTNH_F_ONLINK, 2);
  bytes.writeInt32LE(index, 4);
  return Buffer.concat([bytes, gateway]);
}

/** A next hop of the other family takes another attribute, with its family in front. */
function gatewayAttribute(family: number, gateway: Buffer): Buffer {
  const of = familyOf(gateway);
  return of === family ? attribute(RTA_GATEWAY, gateway) : attribute(RTA_VIA, Buffer.concat([Uint8Array.of(of, 0), gateway]));
}

/** `struct rtmsg`. */
function header(
  family: number,
  length: number,
  rest: { protocol: number; table?: number; scope?: number; type?: number; flags?: number },
): Buffer {
  const bytes = Buffer.alloc(HEADER);
  bytes.set([family, length, 0, 0, rest.table ?? 0, rest.protocol, rest.scope ?? 0, rest.type ?? 0]);
  bytes.writeUInt32LE(rest.flags ?? 0, 8);
  return bytes;
}
