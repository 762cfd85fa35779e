import type { Segment } from "../../api/gen/isthmus/v1/segment.js";
import type { KernelObject, Port, Route, Vxlan } from "../../kernel/model.js";
import { deviceName } from "../../kernel/names.js";
import { contains, hostPrefix, isV6 } from "../addresses.js";
import type { NextHop } from "../crossConnect.js";
import type { TunnelNode } from "../desired.js";
import { aliasPrefix } from "../names.js";
import { policyObjects } from "../policies.js";
import { gatewayMac, trunkMac } from "./addressing.js";
import type { Member, Part } from "./part.js";

/** What a segment's objects need to know of the node and of the ways to others. */
export interface SegmentView {
  readonly tunnel: TunnelNode;
  /** Of packets in the segment. */
  readonly mtu: number;
  /** Of packets to a node, by its tunnel address; undefined: not measured yet. */
  readonly mtuTo: (tunnel: string) => number | undefined;
  /** The node's own address in each of the segment's prefixes: what errors are sent from, and traceroute shows. */
  readonly routers: readonly string[];
}

/** The way to all other nodes: the one VXLAN device of a segment's namespace, the same name on every node. */
export const trunkDevice = "isthmus-trunk";

export function trunk({ segment, vni }: Part, { tunnel, mtu }: SegmentView): Vxlan {
  return {
    ...{ kind: "vxlan", name: trunkDevice, alias: `${aliasPrefix}segment:${segment.name}`, vni, mtu, madeIn: "node" },
    ...{ udpPort: tunnel.vxlanPort, local: tunnel.address, mac: trunkMac(tunnel.address) },
  };
}

export function portName(id: string): string {
  return deviceName("ism", id);
}

export function portOf({ id, mac, side }: Member, { mtu }: Pick<SegmentView, "mtu">): Port {
  return {
    ...{ kind: "port", name: portName(id), alias: `${aliasPrefix}${id}:member`, mtu, mac: gatewayMac },
    ...{ pod: side.pod, podInterface: side.name, podMac: mac },
    ...(side.routeLocalnet === true ? { routeLocalnet: true } : {}),
  };
}

/** A member's address as its pod has it: L2 with the length of the segment's prefix, all of which is on the link; L3 with its own. */
export function podAddress(segment: Segment, address: string): string {
  const prefix = isL2(segment) ? segment.prefixes.find((candidate) => contains(candidate, address)) : undefined;
  return prefix === undefined ? hostPrefix(address) : `${address}${prefix.slice(prefix.indexOf("/"))}`;
}

/** Routes of a pod over its interface, of the families that it has; where another interface has the same, for what is sent from here only. */
export function podRoutes(member: Member, port: Port, routes: readonly NextHop[]): KernelObject[] {
  const { addresses, beside, side } = member;
  const at = { where: side.pod, device: side.name } as const;
  const usable = (v6: boolean) => routes.filter(({ prefix }) => isV6(prefix) === v6);
  if (!beside) return [...new Set(addresses.map(isV6))].flatMap(usable).map((route): Route => ({ kind: "route", ...at, ...route }));
  const policies = addresses.map((address) => ({ from: hostPrefix(address), routes: usable(isV6(address)) }));
  return policyObjects(policies, { ...at, port: port.name }, (route) => route);
}

export function isL2({ layer }: Pick<Segment, "layer">): boolean {
  return layer === "l2";
}
