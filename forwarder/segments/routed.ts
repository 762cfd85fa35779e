import type { Segment } from "../../api/gen/isthmus/v1/segment.js";
import { parseRange, rangesMeet } from "../../core/ipam/address.js";
import type { KernelObject } from "../../kernel/model.js";
import { hostPrefix, isV6 } from "../addresses.js";
import { leastV6 } from "../mtu.js";
import { gatewayFor, gatewayMac, trunkAddress, trunkMac } from "./addressing.js";
import { podRoutes, portOf, type SegmentView, trunk, trunkDevice } from "./devices.js";
import type { Member, Part, Remote } from "./part.js";
import { reachedThrough } from "./reach.js";

/** L3: the node's own addresses, a next hop for each other node, and a route for each prefix that others have. */
export function routedTrunk(part: Part, remotes: readonly Remote[], view: SegmentView): KernelObject[] {
  const own = view.routers.map((address): KernelObject => {
    return { kind: "address", where: "mesh", device: "lo", address: hostPrefix(address) };
  });
  const nodes = remotes.flatMap(({ tunnel, vni }): KernelObject[] => {
    const [address, mac] = [trunkAddress(tunnel), trunkMac(tunnel)];
    return [
      { kind: "neighbour", where: "mesh", device: trunkDevice, address, mac },
      { kind: "vxlan-fdb", device: trunkDevice, mac, address: tunnel, vni },
    ];
  });
  return [{ ...trunk(part, view), mtu: trunkMtu(view) }, ...own, ...nodes, ...routes(part, remotes, view)];
}

/** Next hops are IPv6, which no link below 1280 has: what a way carries less is said of the routes that take it. */
function trunkMtu({ mtu }: SegmentView): number {
  return Math.max(mtu, leastV6);
}

/** L3: in the pod all goes to the gateway, which no packet ever asks for; in the segment each address has its port. */
export function routedMember(segment: Segment, member: Member, view: SegmentView, reached: readonly string[]): KernelObject[] {
  const port = portOf(member, view);
  const pod = { where: member.side.pod, device: member.side.name } as const;
  const here = { where: "mesh", device: port.name } as const;
  const own = member.addresses.flatMap((address): KernelObject[] => [
    { kind: "address", ...pod, address: hostPrefix(address) },
    { kind: "neighbour", ...pod, address: gatewayFor(address), mac: gatewayMac },
    { kind: "route", ...here, prefix: hostPrefix(address) },
    { kind: "neighbour", ...here, address, mac: member.mac },
  ]);
  const behind = member.announces.flatMap((prefix): KernelObject[] => {
    const via = sameFamily(member, prefix);
    return via === undefined ? [] : [{ kind: "route", ...here, prefix, via }];
  });
  const excludes = (member.excludes ?? []).map(parseRange);
  const counts = (prefix: string) => !member.announces.includes(prefix) && !excludes.some((range) => rangesMeet(range, parseRange(prefix)));
  const others = [...new Set([...segment.prefixes, ...reached.filter(counts)])];
  const toGateway = others.map((prefix) => ({ prefix, via: gatewayFor(prefix) }));
  return [port, ...own, ...behind, ...podRoutes(member, port, toGateway)];
}

/** What members of other nodes announce is behind what members of this one do. IPv6 has 1024 where none is said. */
const behindOwn = 2048;

/** One route for each prefix; where several nodes have it, over all of them. */
function routes(part: Part, remotes: readonly Remote[], view: SegmentView): KernelObject[] {
  const ways = new Map<string, string[]>();
  const announced = new Set(remotes.flatMap(({ members }) => members.flatMap(({ announces }) => announces)));
  for (const remote of remotes)
    for (const prefix of reachedThrough(remote))
      if (!part.blocks.includes(prefix)) ways.set(prefix, [...(ways.get(prefix) ?? []), remote.tunnel]);
  return [...ways].map(([prefix, tunnels]): KernelObject => {
    const mtu = Math.min(view.mtu, ...tunnels.map((tunnel) => view.mtuTo(tunnel) ?? view.mtu));
    const [via = "", ...others] = tunnels.map(trunkAddress).sort();
    return {
      ...{ kind: "route", where: "mesh", device: trunkDevice, prefix, via },
      ...(others.length === 0 ? {} : { hops: [via, ...others] }),
      ...(announced.has(prefix) ? { metric: behindOwn } : {}),
      ...(mtu < trunkMtu(view) ? { mtu } : {}),
    };
  });
}

function sameFamily({ addresses }: Member, prefix: string): string | undefined {
  return addresses.find((address) => isV6(address) === isV6(prefix));
}
