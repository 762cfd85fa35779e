import type { Connection } from "../api/gen/connection/connection.js";
import type { Attachment, ServedEndpoint } from "../api/gen/isthmus/v1/node.js";
import type { NetworkService, NetworkServiceEndpoint } from "../api/gen/registry/registry.js";
import { metric, rfc3339, stateName } from "./trace.js";

/** What `request-connection -o json` prints; others rely on these keys. */
export interface ConnectionView {
  readonly id: string;
  readonly service: string;
  readonly endpoint: string;
  readonly interface: string;
  readonly addresses: readonly string[];
  readonly peerAddresses: readonly string[];
  readonly routes: readonly string[];
  readonly payload: string;
  readonly mechanism: string;
  readonly encrypted: boolean;
  readonly mtu: number;
  readonly path: readonly { readonly name: string; readonly id: string }[];
  readonly establishedMs: number;
}

/** An attachment as the documented object. */
export function attachmentView(attachment: Attachment): ConnectionView {
  const connection = attachment.connection;
  const ip = connection?.context?.ipContext;
  return {
    id: attachment.id,
    service: attachment.networkService,
    endpoint: connection?.networkServiceEndpointName ?? "",
    interface: attachment.interface || (connection?.mechanism?.parameters.name ?? ""),
    addresses: ip?.srcIpAddrs ?? [],
    peerAddresses: ip?.dstIpAddrs ?? [],
    routes: (ip?.srcRoutes ?? []).map((route) => route.prefix),
    payload: (connection?.payload ?? "").toLowerCase(),
    mechanism: connection === undefined ? "" : mechanismOf(connection),
    encrypted: connection !== undefined && encryptedOf(connection),
    mtu: connection?.context?.MTU ?? 0,
    path: (connection?.path?.pathSegments ?? []).map(({ name, id }) => ({ name, id })),
    establishedMs: Math.round(attachment.establishedMs * 100) / 100,
  };
}

/** An attachment with the node's side of it: the pod, and whether it works. */
export function attachmentState(attachment: Attachment): ConnectionView & {
  readonly pod: string;
  readonly netns: string;
  readonly state: string;
  readonly reason: string;
  readonly heals: number;
} {
  return {
    ...attachmentView(attachment),
    pod: attachment.pod?.name ?? "",
    netns: attachment.pod?.netnsUrl ?? "",
    state: attachment.state,
    reason: attachment.reason,
    heals: attachment.heals,
  };
}

/** A connection that passes through a node, without tokens. */
export function connectionView(connection: Connection): {
  readonly id: string;
  readonly service: string;
  readonly endpoint: string;
  readonly state: string;
  readonly payload: string;
  readonly mechanism: string;
  readonly encrypted: boolean;
  readonly mtu: number;
  readonly addresses: readonly string[];
  readonly peerAddresses: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly path: readonly { readonly name: string; readonly id: string }[];
} {
  const ip = connection.context?.ipContext;
  return {
    id: connection.id,
    service: connection.networkService,
    endpoint: connection.networkServiceEndpointName,
    state: stateName(connection.state),
    payload: connection.payload.toLowerCase(),
    mechanism: mechanismOf(connection),
    encrypted: encryptedOf(connection),
    mtu: connection.context?.MTU ?? 0,
    addresses: ip?.srcIpAddrs ?? [],
    peerAddresses: ip?.dstIpAddrs ?? [],
    labels: connection.labels,
    path: (connection.path?.pathSegments ?? []).map(({ name, id }) => ({ name, id })),
  };
}

const remote: Readonly<Record<string, string>> = { NODE_TUNNEL: "node-tunnel", WIREGUARD: "wireguard", VXLAN: "vxlan" };

/** The mechanism that carries the packets between nodes, or "kernel" where both ends are on one node. */
export function mechanismOf(connection: Connection): string {
  for (const segment of connection.path?.pathSegments ?? [])
    for (const side of ["client_mechanism", "server_mechanism"]) {
      const name = metric(segment, side);
      const known = remote[name.toUpperCase().replaceAll("-", "_")];
      if (known !== undefined) return known;
    }
  return remote[connection.mechanism?.type ?? ""] ?? "kernel";
}

/** Whether packets that leave a node are encrypted. Within one node they never leave it: false. */
export function encryptedOf(connection: Connection): boolean {
  const told = (connection.path?.pathSegments ?? []).map((segment) => metric(segment, "encrypted")).filter((text) => text !== "");
  if (told.length > 0) return told.every((text) => text === "true");
  return ["node-tunnel", "wireguard"].includes(mechanismOf(connection));
}

/** A service as the registry has it. */
export function serviceView(service: NetworkService): {
  readonly name: string;
  readonly payload: string;
  readonly matches: NetworkService["matches"];
} {
  return { name: service.name, payload: service.payload.toLowerCase(), matches: service.matches };
}

/** An endpoint as the registry has it; labels are per service. */
export function endpointView(endpoint: NetworkServiceEndpoint): {
  readonly name: string;
  readonly services: readonly string[];
  readonly labels: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly url: string;
  readonly expires: string;
} {
  return {
    name: endpoint.name,
    services: endpoint.networkServiceNames,
    labels: Object.fromEntries(Object.entries(endpoint.networkServiceLabels).map(([service, { labels }]) => [service, labels])),
    url: endpoint.url,
    expires: rfc3339(endpoint.expirationTime),
  };
}

/** What `serve` prints. */
export function servedView(served: ServedEndpoint): {
  readonly name: string;
  readonly service: string;
  readonly pod: string;
  readonly cidrs: readonly string[];
  readonly payload: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly detached: boolean;
} {
  return {
    name: served.name,
    service: served.networkService,
    pod: served.pod?.name ?? "",
    cidrs: served.cidrs,
    payload: served.payload.toLowerCase(),
    labels: served.labels,
    detached: served.detached,
  };
}
