import type { Segment } from "../../api/gen/isthmus/v1/segment.js";
import type { KernelObject, Port } from "../../kernel/model.js";
import { deviceName } from "../../kernel/names.js";
import { contains, hostPrefix, isV6 } from "../addresses.js";
import type { TunnelNode } from "../desired.js";
import { aliasPrefix } from "../names.js";
import { gatewayFor, gatewayMac, trunkAddress, trunkMac } from "./addressing.js";
import type { Member, Part, Remote } from "./part.js";

/** What a segment's objects need to know of the node and of the way to others. */
export interface SegmentView {
  readonly tunnel: TunnelNode;
  /** Of packets in the segment. */
  readonly mtu: number;
  /** Of packets to a node, by its tunnel address; undefined: not measured yet. */
  readonly mtuTo: (tunnel: string) => number | undefined;
  /** The node's own address in each of the segment's prefixes: what errors are sent from, and traceroute shows. */
  readonly routers: readonly string[];
}

/** The segment's VXLAN device on every node: it is the only one in its namespace. */
export const trunkDevice = "isthmus-trunk";

export function trunkAlias(segment: string): string {
  return `${aliasPrefix}segment:${segment}`;
}

export function portOf(id: string): string {
  return deviceName("ism", id);
}

/** What a node has of a segment besides its members: the way to all other nodes, and what is reached there. */
export function trunkObjects(part: Part, remotes: readonly Remote[], view: SegmentView): KernelObject[] {
  const sources = remotes.map(({ tunnel }): KernelObject => ({ kind: "vxlan-source", source: tunnel, vni: part.vni }));
  const device: KernelObject = {
    ...{ kind: "vxlan", name: trunkDevice, alias: trunkAlias(part.segment.name), vni: part.vni, mtu: view.mtu, madeIn: "node" },
    ...{ udpPort: view.tunnel.vxlanPort, local: view.tunnel.address, mac: trunkMac(view.tunnel.address) },
  };
  return [device, ...sources, ...routedTrunk(part, remotes, view)];
}

/** A member's interface, all that is in its pod, and what makes packets find it. `reached`: prefixes behind other members. */
export function memberObjects(segment: Segment, member: Member, view: SegmentView, reached: readonly string[]): KernelObject[] {
  const port: Port = {
    ...{ kind: "port", name: portOf(member.id), alias: `${aliasPrefix}${member.id}:member`, mtu: view.mtu },
    ...{ pod: member.side.pod, podInterface: member.side.name, podMac: member.mac, mac: gatewayMac },
    ...(member.side.routeLocalnet === true ? { routeLocalnet: true } : {}),
  };
  return routedMember(segment, member, port, reached);
}

function routedTrunk(part: Part, remotes: readonly Remote[], view: SegmentView): KernelObject[] {
  const own = view.routers.map((address): KernelObject => ({ kind: "address", where: "mesh", device: "lo", address: hostPrefix(address) }));
  const nodes = remotes.flatMap(({ tunnel, vni }): KernelObject[] => {
    const [address, mac] = [trunkAddress(tunnel), trunkMac(tunnel)];
    return [
      { kind: "neighbour", where: "mesh", device: trunkDevice, address, mac },
      { kind: "vxlan-fdb", device: trunkDevice, mac, address: tunnel, vni },
    ];
  });
  return [...own, ...nodes, ...routes(part, remotes, view)];
}

/** One route for each prefix that others have; where several have it, over all of them. */
function routes(part: Part, remotes: readonly Remote[], view: SegmentView): KernelObject[] {
  const ways = new Map<string, string[]>();
  for (const remote of remotes)
    for (const prefix of reachedThrough(remote))
      if (!part.blocks.includes(prefix)) ways.set(prefix, [...(ways.get(prefix) ?? []), remote.tunnel]);
  return [...ways].map(([prefix, tunnels]): KernelObject => {
    const mtu = Math.min(...tunnels.map((tunnel) => view.mtuTo(tunnel) ?? view.mtu));
    const [via = "", ...others] = tunnels.map(trunkAddress).sort();
    return {
      ...{ kind: "route", where: "mesh", device: trunkDevice, prefix, via },
      ...(others.length === 0 ? {} : { hops: [via, ...others] }),
      ...(mtu < view.mtu ? { mtu } : {}),
    };
  });
}

/** A node's blocks, the addresses of its members that lie in nobody's or in another's block, and what is behind its members. */
export function reachedThrough({ blocks, members }: Pick<Remote, "blocks" | "members">): string[] {
  const strays = members.flatMap(({ addresses }) => addresses.filter((address) => !blocks.some((block) => contains(block, address))));
  return [...new Set([...blocks, ...strays.map(hostPrefix), ...members.flatMap(({ announces }) => announces)])];
}

/** In the pod all goes to the gateway, which no packet ever asks for; in the segment each address has its port. */
function routedMember(segment: Segment, member: Member, port: Port, reached: readonly string[]): KernelObject[] {
  const pod = { where: member.side.pod, device: member.side.name } as const;
  const here = { where: "mesh", device: port.name } as const;
  const families = new Set(member.addresses.map(isV6));
  const prefixes = [...new Set([...segment.prefixes, ...reached])].filter(
    (prefix) => families.has(isV6(prefix)) && !member.announces.includes(prefix),
  );
  return [
    port,
    ...member.addresses.flatMap((address): KernelObject[] => [
      { kind: "address", ...pod, address: hostPrefix(address) },
      { kind: "neighbour", ...pod, address: gatewayFor(address), mac: gatewayMac },
      { kind: "route", ...here, prefix: hostPrefix(address) },
      { kind: "neighbour", ...here, address, mac: member.mac },
    ]),
    ...prefixes.map((prefix): KernelObject => ({ kind: "route", ...pod, prefix, via: gatewayFor(prefix) })),
    ...member.announces.flatMap((prefix): KernelObject[] => {
      const via = member.addresses.find((address) => isV6(address) === isV6(prefix));
      return via === undefined ? [] : [{ kind: "route", ...here, prefix, via }];
    }),
  ];
}
