import type { Connection } from "../../api/gen/connection/connection.js";
import type { MeshNode } from "../../api/gen/isthmus/v1/node.js";
import type { NetworkServiceEndpoint } from "../../api/gen/registry/registry.js";
import { stateName, traceOf } from "../trace.js";
import { encryptedOf, mechanismOf } from "../view.js";
import { type MemberView, type Roster, rosterOf, segmentsOf } from "./roster.js";

/** A node, by its name and its site's: two sites may have nodes of one name. */
export interface Place {
  readonly site: string;
  readonly node: string;
}

/** Two nodes that share segments, whose packets go between them. */
export interface Tunnel {
  readonly between: readonly [Place, Place];
  readonly segments: readonly string[];
}

/** A connection from a pod to an endpoint. */
export interface Link {
  readonly id: string;
  readonly service: string;
  readonly client: Place & { readonly name: string };
  readonly endpoint: Place & { readonly name: string };
  readonly mechanism: string;
  readonly encrypted: boolean;
  readonly state: string;
}

/** What is joined with what: nodes by site, members of segments, tunnels, and connections. */
export interface Graph {
  readonly sites: readonly { readonly name: string; readonly nodes: readonly string[] }[];
  readonly members: readonly MemberView[];
  readonly tunnels: readonly Tunnel[];
  readonly connections: readonly Link[];
}

/** What nodes have told. */
export interface Known {
  readonly nodes: readonly MeshNode[];
  readonly endpoints: readonly NetworkServiceEndpoint[];
  readonly connections: readonly Connection[];
}

/** Of one segment, or of all and the connections besides. */
export function graphOf({ nodes, endpoints, connections }: Known, segment: string | undefined): Graph {
  const segments = segment === undefined ? segmentsOf(endpoints) : [segment];
  const rosters = segments.map((name) => [name, rosterOf(endpoints, name)] as const);
  // How a pod came into a segment is told by its being a member.
  const links = segment === undefined ? linksOf(connections).filter(({ service }) => !segments.includes(service.split("@")[0] ?? "")) : [];
  const members = rosters.flatMap(([, roster]) => roster.members);
  const places = [
    ...(segment === undefined ? nodes.map(({ name: node, site }) => ({ node, site })) : []),
    ...rosters.flatMap(([, roster]) => roster.nodes),
    ...[...members, ...links.flatMap(({ client, endpoint }) => [client, endpoint])],
  ];
  return { sites: sitesOf(places), members, tunnels: tunnelsOf(rosters), connections: links };
}

function sitesOf(places: readonly Place[]): Graph["sites"] {
  const sites = new Map<string, Set<string>>();
  for (const { site, node } of places) {
    const nodes = sites.get(site) ?? new Set();
    sites.set(site, node === "" ? nodes : nodes.add(node));
  }
  return [...sites].map(([name, nodes]) => ({ name, nodes: [...nodes].sort() })).sort((a, b) => (a.name < b.name ? -1 : 1));
}

function tunnelsOf(rosters: readonly (readonly [string, Roster])[]): Tunnel[] {
  const tunnels = new Map<string, { between: [Place, Place]; segments: string[] }>();
  for (const [segment, { nodes }] of rosters)
    for (const [at, a] of nodes.entries())
      for (const b of nodes.slice(at + 1)) {
        const key = JSON.stringify([a.id, b.id].sort());
        const place = ({ site, node }: Place): Place => ({ site, node });
        const tunnel = tunnels.get(key) ?? { between: [place(a), place(b)], segments: [] };
        tunnel.segments.push(segment);
        tunnels.set(key, tunnel);
      }
  return [...tunnels.values()];
}

/** Each connection once, however many hops told of it: the one that knows most of its path. */
function linksOf(connections: readonly Connection[]): Link[] {
  const byId = new Map<string, Connection>();
  const length = (conn: Connection | undefined) => conn?.path?.pathSegments.length ?? 0;
  for (const conn of connections) {
    const id = conn.path?.pathSegments[0]?.id ?? conn.id;
    if (length(conn) >= length(byId.get(id))) byId.set(id, conn);
  }
  return [...byId].map(([id, conn]) => linkOf(id, conn)).sort((a, b) => (a.id < b.id ? -1 : 1));
}

function linkOf(id: string, conn: Connection): Link {
  const hops = traceOf(conn, 0);
  const end = (at: number, name: string) => ({ name, node: hops.at(at)?.node ?? "", site: hops.at(at)?.site ?? "" });
  return {
    ...{ id, service: conn.networkService, client: end(0, hops[0]?.name ?? ""), endpoint: end(-1, conn.networkServiceEndpointName) },
    ...{ mechanism: mechanismOf(conn), encrypted: encryptedOf(conn), state: stateName(conn.state) },
  };
}
