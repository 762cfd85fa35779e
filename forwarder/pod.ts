import type { Address, KernelObject, Neighbour, Route } from "../kernel/model.js";
import { contains, host, hostPrefix, isV6, macOf } from "./addresses.js";
import type { Addresses, CrossConnect, KernelSide, NextHop, Policy } from "./crossConnect.js";
import { deviceOf, type Role } from "./names.js";
import { policyObjects } from "./policies.js";

/** One pod's end, seen from inside: what is its own and what is the peer's. */
interface View {
  readonly own: readonly string[];
  readonly peer: readonly string[];
  readonly routes: readonly NextHop[];
  readonly policies: readonly Policy[];
}

function viewOf(addresses: Addresses, role: Role): View {
  return role === "client"
    ? { own: addresses.src, peer: addresses.dst, routes: addresses.srcRoutes, policies: addresses.policies ?? [] }
    : { own: addresses.dst, peer: addresses.src, routes: addresses.dstRoutes, policies: [] };
}

/**
 * The MAC of a pod's end: as the endpoint asked, else it follows from the pod's first address, so that both nodes know both
 * without asking, and an address keeps its MAC when another endpoint takes it over; without addresses, from the connection.
 */
export function podMac(connect: CrossConnect, role: Role): string {
  const asked = role === "client" ? connect.addresses.srcMac : connect.addresses.dstMac;
  return asked ?? macOf(viewOf(connect.addresses, role).own[0] ?? `${connect.id} ${role}`);
}

/** Whether the pods of this connection speak IPv6 over it, which no link below 1280 can carry. */
export function hasV6(connect: CrossConnect): boolean {
  return [...connect.addresses.src, ...connect.addresses.dst].some(isV6);
}

/** Addresses, neighbours, routes and policies inside the pod of one side. */
export function podObjects(connect: CrossConnect, role: Role, side: KernelSide): KernelObject[] {
  const view = viewOf(connect.addresses, role);
  const at = { where: side.pod, device: side.name } as const;
  return [
    ...view.own.map((address): Address => ({ kind: "address", ...at, address })),
    ...neighbours(connect, role, view).map(({ address, mac }): Neighbour => ({ kind: "neighbour", ...at, address, mac })),
    ...routes(view).map((route): Route => ({ kind: "route", ...at, ...route })),
    ...policyObjects(view.policies, { ...at, port: deviceOf(connect.id, role, side) }, (route) => withNextHop(route, view)),
  ];
}

/** With payload IP nobody answers ARP or ND: every next hop has a permanent entry. With ETHERNET the pods ask as usual. */
function neighbours(connect: CrossConnect, role: Role, view: View): { address: string; mac: string }[] {
  const entries = new Map<string, string>();
  if (connect.payload === "IP") {
    const mac = podMac(connect, role === "client" ? "endpoint" : "client");
    for (const address of view.peer) entries.set(host(address), mac);
    for (const { via } of [...view.routes, ...view.policies.flatMap(({ routes }) => routes)]) if (via !== undefined) entries.set(via, mac);
  }
  if (role === "client") for (const entry of connect.addresses.neighbours) entries.set(entry.address, entry.mac);
  for (const address of view.own) entries.delete(host(address));
  return [...entries].map(([address, mac]) => ({ address, mac }));
}

/** To each address of the peer directly, unless it is on-link already; then what the endpoint asked for. */
function routes(view: View): NextHop[] {
  const found = new Map<string, NextHop>();
  for (const peer of view.peer) if (!onLink(view, peer)) found.set(hostPrefix(peer), { prefix: hostPrefix(peer) });
  for (const route of view.routes) {
    if (!found.has(route.prefix) && !ownPrefix(view, route.prefix)) found.set(route.prefix, withNextHop(route, view));
  }
  return [...found.values()];
}

/** A longer prefix on our own address covers it: the kernel has that route by itself. */
function onLink(view: View, peer: string): boolean {
  return view.own.some((address) => !isHostPrefix(address) && contains(address, peer));
}

/** The kernel makes the route of an address's own prefix; asking for it again would only fight with that. */
function ownPrefix(view: View, prefix: string): boolean {
  return view.own.some((address) => bits(address) === bits(prefix) && contains(prefix, address));
}

/** Default next hop: the peer's first address of that family, unless the prefix is the peer's own, which is on the link. */
function withNextHop(route: NextHop, view: View): NextHop {
  if (route.via !== undefined) return route;
  const peers = view.peer.filter((peer) => isV6(peer) === isV6(route.prefix));
  const first = peers[0];
  if (first === undefined || peers.some((peer) => contains(peer, host(route.prefix)) && bits(peer) <= bits(route.prefix))) return route;
  return { ...route, via: host(first) };
}

function bits(prefix: string): number {
  return Number(prefix.slice(prefix.indexOf("/") + 1));
}

function isHostPrefix(address: string): boolean {
  return bits(address) === (isV6(address) ? 128 : 32);
}
