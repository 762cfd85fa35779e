import { Connection } from "../../../../api/gen/connection/connection.js";
import type { MeshNode } from "../../../../api/gen/isthmus/v1/node.js";
import { NetworkServiceEndpoint } from "../../../../api/gen/registry/registry.js";
import { memberLabels, membershipName, nodeLabels, type SegmentMember, type SegmentNode } from "../../../../core/segment/membership.js";
import { alsoInSite, inSite } from "../../../../core/siteNames.js";

export function node(name: string, site: string, part: Partial<SegmentNode> = {}): SegmentNode {
  return {
    ...{ segment: "plant", id: `spiffe://${site}/node/${name}/forwarder`, node: name, site, publicKey: "k=", vni: 9_000_000 },
    ...{ at: "10.1.0.2:51820", abroad: undefined, blocks: ["10.60.0.0/24"], mtu: 1366, ...part },
  };
}

export function member(name: string, part: Partial<SegmentMember> = {}): SegmentMember {
  return { name, mac: "02:00:00:00:00:01", addresses: ["10.60.0.5"], announces: [], services: [], sequence: 1, ...part };
}

/** A node's endpoints of a segment's service, as a registry of that site shows them. */
export function told(of: SegmentNode, members: readonly SegmentMember[] = []): NetworkServiceEndpoint[] {
  const endpoint = (labels: Record<string, string>, shard?: number) =>
    NetworkServiceEndpoint.fromPartial({
      name: membershipName(of.segment, `forwarder-${of.node}`, shard),
      networkServiceNames: [of.segment],
      networkServiceLabels: { [of.segment]: { labels } },
    });
  return [endpoint(nodeLabels(of)), endpoint(memberLabels(of.id, members), 0)];
}

/** The same as a registry of another site shows them. */
export function abroad(endpoints: readonly NetworkServiceEndpoint[], site: string): NetworkServiceEndpoint[] {
  return endpoints.map((endpoint) => ({ ...alsoInSite(endpoint, site), name: inSite(endpoint.name, site) }));
}

export function meshNode(name: string, site: string): MeshNode {
  return { name, site, nsmgrUrl: `tcp://${name}:5001`, forwarders: [`forwarder-${name}`] };
}

/** A connection as a hop tells of it that knows so many hops of its path. */
export function connection(service: string, hops = 4): Connection {
  const segments = [
    { id: "c1", name: "client", metrics: {} },
    { id: "c2", name: "nsmgr", metrics: { "isthmus.node": "paris-1", "isthmus.site": "paris" } },
    {
      id: "c3",
      name: "forwarder",
      metrics: { "isthmus.node": "paris-1", "isthmus.site": "paris", "isthmus.client_mechanism": "NODE_TUNNEL" },
    },
    { id: "c4", name: "nsmgr", metrics: { "isthmus.node": "tokyo-1", "isthmus.site": "tokyo" } },
    { id: "c5", name: "echo-1", metrics: {} },
  ];
  return Connection.fromPartial({
    ...{ id: "c2", networkService: service, networkServiceEndpointName: "echo-1" },
    path: { index: 1, pathSegments: segments.slice(0, hops) },
  });
}
