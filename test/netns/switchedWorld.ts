import type { BridgePort, Guard, KernelObject, Netns } from "../../kernel/model.js";
import { port } from "../suite/kernel.js";
import { gatewayMac } from "../suite/kernelSegment.js";

/** Pods of a switched segment over two nodes, and which node each is on. */
export const members = [
  { name: "a", own: 0, host: 2 },
  { name: "b", own: 0, host: 3 },
  { name: "c", own: 1, host: 4 },
] as const;
export type Member = (typeof members)[number]["name"];

const member: BridgePort = {
  ...{ bridge: "br-1", flood: false, learning: false },
  ...{ neighSuppress: false, isolated: false, multicastRouter: false },
};

/**
 * What a node has of the segment without members of its own: what it knows of the other node and who is there. Another segment has
 * another number, and the same of all the rest.
 */
export function node(own: 0 | 1, segment = 0): KernelObject[] {
  const other = own === 0 ? 1 : 0;
  const vniOf = (node: number) => 2 ** 23 + node + 2 * segment;
  const there = { device: "x-1", address: tunnelOf(other), vni: vniOf(other) };
  return [
    {
      ...{ kind: "bridge", name: "br-1", alias: "isthmus:s1", mac: gatewayMac, mtu: 1400 },
      ...{ multicastSnooping: true, querier: true },
    },
    {
      ...{ kind: "vxlan", name: "x-1", alias: "isthmus:s1", vni: vniOf(own), udpPort: 4789, local: tunnelOf(own), madeIn: "node" },
      ...{ mtu: 1400, bridge: { ...member, neighSuppress: true, multicastRouter: true } },
    },
    { kind: "vxlan-fdb", mac: "00:00:00:00:00:00", ...there },
    ...members
      .filter((each) => each.own === other)
      .flatMap(({ name }): KernelObject[] => [
        { kind: "vxlan-fdb", mac: macOf(name), ...there },
        { kind: "bridge-fdb", device: "x-1", mac: macOf(name) },
        ...addressesOf(name).map((address): KernelObject => {
          return { kind: "neighbour", where: "mesh", device: "br-1", address, mac: macOf(name) };
        }),
      ]),
    { kind: "vxlan-source", source: tunnelOf(other), vni: vniOf(own) },
  ];
}

/** A member, in the segment's namespace and in its pod. */
export function joined(name: Member, pod: Netns, podInterface = "nsm0"): KernelObject[] {
  return [
    guardOf(name),
    { ...port(`p-${name}`, pod), podInterface, podMac: macOf(name), bridge: member },
    { kind: "bridge-fdb", device: `p-${name}`, mac: macOf(name) },
    ...addressesOf(name).map((address): KernelObject => {
      return { kind: "address", where: pod, device: podInterface, address: `${address}/${address.includes(":") ? 64 : 16}` };
    }),
  ];
}

export function guardOf(name: Member): Guard {
  return { kind: "guard", device: `p-${name}`, mac: macOf(name), addresses: addressesOf(name), spoofing: false };
}

export function macOf(name: Member): string {
  return `02:00:00:00:00:0${name}`;
}

export function addressesOf(name: Member): readonly [four: string, six: string] {
  const host = members.find((each) => each.name === name)?.host;
  return [`10.70.0.${host}`, `fd70::${host}`];
}

function tunnelOf(own: 0 | 1): string {
  return `fd00:1::${own + 1}`;
}
