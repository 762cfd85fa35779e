import type { Connection, ConnectionEvent, Mechanism, MonitorScopeSelector, Path, PathSegment } from "../api/gen/connection/connection.js";
import type { ConnectionContext, IPContext } from "../api/gen/connectioncontext/connectioncontext.js";
import type { NetworkServiceRequest } from "../api/gen/networkservice/networkservice.js";
import { MeshError } from "../core/error.js";
import { checkCount, checkMap, checkName, checkText, checkTextMap, checkTexts, checkTime } from "./check.js";
import { limits } from "./limits.js";

/** What every connection from outside must be before a chain sees it. */
export function checkConnection(connection: Connection): void {
  checkName("the connection's id", connection.id);
  checkName("the network service's name", connection.networkService);
  checkName("the endpoint's name", connection.networkServiceEndpointName);
  checkName("the payload", connection.payload);
  checkTextMap("the labels", connection.labels);
  if (connection.mechanism !== undefined) checkMechanism(connection.mechanism);
  if (connection.path !== undefined) checkPath(connection.path);
  if (connection.context !== undefined) checkContext(connection.context);
}

export function checkRequest(request: NetworkServiceRequest): void {
  if (request.connection === undefined) throw new MeshError("invalid", "the request has no connection");
  checkConnection(request.connection);
  checkCount("the list of mechanism preferences", request.mechanismPreferences.length, limits.preferences);
  for (const mechanism of request.mechanismPreferences) checkMechanism(mechanism);
}

export function checkSelector(selector: MonitorScopeSelector): void {
  checkCount("the selector's path", selector.pathSegments.length, limits.pathSegments);
  for (const segment of selector.pathSegments) checkSegment(segment);
  checkTexts("the selector's network services", selector.networkServices, limits.services, limits.name);
}

export function checkEvent(event: ConnectionEvent): void {
  // No limit on the number: it is as many as the peer has.
  if (Object.getPrototypeOf(event.connections) !== Object.prototype) checkMap("the event's connections", event.connections);
  for (const connection of Object.values(event.connections)) checkConnection(connection);
}

function checkPath(path: Path): void {
  const count = path.pathSegments.length;
  if (count > limits.pathSegments)
    throw new MeshError("invalid", `the path has ${count} segments; at most ${limits.pathSegments} are allowed`);
  if (path.index > Math.max(0, count - 1))
    throw new MeshError("invalid", `the path's index is ${path.index}, but the path has ${count} segments; it must be below that`);
  const ids = new Set<string>();
  for (const segment of path.pathSegments) {
    checkSegment(segment);
    if (segment.id !== "" && ids.has(segment.id))
      throw new MeshError("invalid", `the path has two segments with the id ${JSON.stringify(segment.id)}; each hop needs its own`);
    ids.add(segment.id);
  }
}

function checkSegment(segment: PathSegment): void {
  checkName("a path segment's name", segment.name);
  checkName("a path segment's id", segment.id);
  checkText("a path segment's token", segment.token, limits.token);
  checkTime("a path segment's expiry", segment.expires);
  checkTextMap("a path segment's metrics", segment.metrics);
}

function checkMechanism(mechanism: Mechanism): void {
  checkName("a mechanism's class", mechanism.cls);
  checkName("a mechanism's type", mechanism.type);
  checkTextMap("a mechanism's parameters", mechanism.parameters);
}

function checkContext(context: ConnectionContext): void {
  if (context.ipContext !== undefined) checkIp(context.ipContext);
  checkTextMap("the extra context", context.extraContext);
  const configs = context.dnsContext?.configs ?? [];
  checkCount("the DNS context", configs.length, limits.dnsConfigs);
  for (const config of configs) {
    checkTexts("the DNS servers", config.dnsServerIps, limits.dnsEntries, limits.ipText);
    checkTexts("the search domains", config.searchDomains, limits.dnsEntries, limits.name);
  }
  checkName("the source MAC", context.ethernetContext?.srcMac ?? "");
  checkName("the destination MAC", context.ethernetContext?.dstMac ?? "");
}

function checkIp(ip: IPContext): void {
  checkTexts("src_ip_addrs", ip.srcIpAddrs, limits.ipEntries, limits.ipText);
  checkTexts("dst_ip_addrs", ip.dstIpAddrs, limits.ipEntries, limits.ipText);
  checkTexts("excluded_prefixes", ip.excludedPrefixes, limits.ipEntries, limits.ipText);
  checkTexts("extra_prefixes", ip.extraPrefixes, limits.ipEntries, limits.ipText);
  checkRoutes("src_routes", ip.srcRoutes);
  checkRoutes("dst_routes", ip.dstRoutes);
  checkCount("ip_neighbors", ip.ipNeighbors.length, limits.ipEntries);
  for (const neighbour of ip.ipNeighbors) {
    checkText("a neighbour's address", neighbour.ip, limits.ipText);
    checkText("a neighbour's hardware address", neighbour.hardwareAddress, limits.ipText);
  }
  checkCount("extra_prefix_request", ip.extraPrefixRequest.length, limits.ipEntries);
  checkCount("policies", ip.policies.length, limits.ipEntries);
  for (const policy of ip.policies) {
    for (const part of [policy.from, policy.proto, policy.dstPort, policy.srcPort]) checkText("a part of a policy", part, limits.ipText);
    checkRoutes("a policy's routes", policy.routes);
  }
}

function checkRoutes(where: string, routes: readonly { readonly prefix: string; readonly nextHop: string }[]): void {
  checkCount(where, routes.length, limits.ipEntries);
  for (const route of routes) {
    checkText(`a prefix of ${where}`, route.prefix, limits.ipText);
    checkText(`a next hop of ${where}`, route.nextHop, limits.ipText);
  }
}
