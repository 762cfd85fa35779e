import type { KernelObject, Netns } from "../../kernel/model.js";
import { port } from "../suite/kernel.js";
import { gatewayMac } from "../suite/kernelSegment.js";

export const [portMtu, tunnelMtu] = [1400, 1300];

/** A member: a node's number gives its tunnel address, its blocks, its router's addresses and its VNI. */
export interface Place {
  readonly name: string;
  readonly own: number;
  readonly host: number;
}

/** What a node has of the segment without members: its routers' addresses, and the way to the other node's blocks. */
export function node(own: number, others: readonly number[]): KernelObject[] {
  const out = { where: "mesh", device: "x-1" } as const;
  const [four, six] = routerOf(own);
  return [
    {
      ...{ kind: "vxlan", name: "x-1", alias: "isthmus:s1", vni: vniOf(own), udpPort: 4789, local: tunnelOf(own), madeIn: "node" },
      ...{ mtu: tunnelMtu, mac: macOf(own) },
    },
    // The resolver's address first: the router's is the source of errors all the same.
    ...["169.254.1.1", ...routerOf(own)].map(
      (address): KernelObject => ({ kind: "address", ...out, device: "lo", address: full(address) }),
    ),
    ...others.flatMap((other): KernelObject[] => [
      { kind: "vxlan-fdb", device: "x-1", mac: macOf(other), address: tunnelOf(other), vni: vniOf(other) },
      { kind: "neighbour", ...out, address: viaOf(other), mac: macOf(other) },
      { kind: "route", ...out, prefix: `10.60.${other}.0/24`, via: viaOf(other), source: four },
      { kind: "route", ...out, prefix: `fd60:0:0:${other}::/64`, via: viaOf(other), source: six },
      { kind: "vxlan-source", source: tunnelOf(other), vni: vniOf(own) },
    ]),
  ];
}

/** A member, in the segment's namespace and in its pod. */
export function joined(member: Place, pod: Netns): KernelObject[] {
  const { name, own } = member;
  const device = `p-${name}`;
  const podMac = podMacOf(member);
  const inPod = { where: pod, device: "nsm0" };
  return [
    { ...port(device, pod), mac: gatewayMac, podMac, mtu: portMtu },
    { kind: "address", where: "mesh", device, address: "fe80::1/64" },
    ...addressesOf(member).flatMap((address, family): KernelObject[] => [
      { kind: "address", ...inPod, address: full(address) },
      { kind: "route", where: "mesh", device, prefix: full(address), source: routerOf(own)[family] },
      { kind: "neighbour", where: "mesh", device, address, mac: podMac },
    ]),
    ...["169.254.1.1", "fe80::1"].map((address): KernelObject => ({ kind: "neighbour", ...inPod, address, mac: gatewayMac })),
    { kind: "route", ...inPod, prefix: "0.0.0.0/0", via: "169.254.1.1" },
    { kind: "route", ...inPod, prefix: "::/0", via: "fe80::1" },
  ];
}

export function addressesOf({ own, host }: Place): readonly [four: string, six: string] {
  return [`10.60.${own}.${host}`, own === 0 ? `fd60::${host}` : `fd60:0:0:${own}::${host}`];
}

function routerOf(own: number): readonly [four: string, six: string] {
  return [`10.60.${own}.1`, own === 0 ? "fd60::1" : `fd60:0:0:${own}::1`];
}

export function podMacOf({ own, host }: Place): string {
  return `02:00:00:00:0${own}:0${host}`;
}

/** A node as the others' next hop. */
export function viaOf(own: number): string {
  return `fe80::a:${own}`;
}

function tunnelOf(own: number): string {
  return `fd00:1::${own + 1}`;
}

function macOf(own: number): string {
  return `02:69:74:00:00:0${own}`;
}

function vniOf(own: number): number {
  return 2 ** 23 + own;
}

export function full(address: string): string {
  return `${address}/${address.includes(":") ? 128 : 32}`;
}
