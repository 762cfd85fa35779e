import type { Segment } from "../../api/gen/isthmus/v1/segment.js";
import type { SegmentMember } from "../../core/segment/membership.js";
import type { Bridge, BridgePort, KernelObject } from "../../kernel/model.js";
import { aliasPrefix } from "../names.js";
import { bridgeMac } from "./addressing.js";
import { podAddress, podRoutes, portOf, type SegmentView, trunk, trunkDevice } from "./devices.js";
import type { Member, Part, Remote } from "./part.js";

/** The one bridge of a switched segment's namespace, the same name on every node. */
export const bridgeDevice = "isthmus-bridge";
/** An entry for it stands for all MAC addresses that have none of their own. */
const everybody = "00:00:00:00:00:00";

/** L2: the bridge, and the trunk as one of its ports. What is said to all goes once to each node that has members. */
export function bridgedTrunk(part: Part, remotes: readonly Remote[], view: SegmentView): KernelObject[] {
  const { segment } = part;
  return [
    bridge(segment, view),
    { ...trunk(part, view), bridge: bridgePort(segment, { neighSuppress: true, multicastRouter: true }) },
    ...view.routers.map((address): KernelObject => {
      return { kind: "address", where: "mesh", device: bridgeDevice, address: podAddress(segment, address) };
    }),
    ...remotes.map(({ tunnel: address, vni }): KernelObject => {
      return { kind: "vxlan-fdb", device: trunkDevice, mac: everybody, address, vni };
    }),
  ];
}

/**
 * L2: what is said to a member of another node goes to its node alone, and who has its address is answered here. Who is behind it may come to
 * a member of this node, and is believed there at once.
 */
export function bridgedRemote(
  { tunnel, vni }: Pick<Remote, "tunnel" | "vni">,
  { mac, addresses, behind = [] }: SegmentMember,
): KernelObject[] {
  return [
    { kind: "vxlan-fdb", device: trunkDevice, mac, address: tunnel, vni },
    { kind: "bridge-fdb", device: trunkDevice, mac },
    ...addresses.map((address) => neighbour(address, mac)),
    ...behind.flatMap((host): KernelObject[] => [
      { kind: "vxlan-fdb", device: trunkDevice, mac: host.mac, address: tunnel, vni },
      { kind: "bridge-fdb", device: trunkDevice, mac: host.mac, yields: true },
    ]),
  ];
}

/** L2: the member's port may send what is its own, and the bridge knows it by that. */
export function bridgedMember(segment: Segment, member: Member, view: SegmentView): KernelObject[] {
  const { mac, addresses, spoofing, side } = member;
  const port = portOf(member, view);
  return [
    { ...port, bridge: bridgePort(segment, { learning: spoofing }) },
    { kind: "bridge-fdb", device: port.name, mac },
    { kind: "guard", device: port.name, mac, addresses: [...addresses], spoofing },
    ...addresses.map((address) => neighbour(address, mac)),
    ...addresses.map((address): KernelObject => {
      return { kind: "address", where: side.pod, device: side.name, address: podAddress(segment, address) };
    }),
    // The kernel itself makes the routes that go with addresses.
    ...(member.beside
      ? podRoutes(
          member,
          port,
          segment.prefixes.map((prefix) => ({ prefix })),
        )
      : []),
  ];
}

function bridge(segment: Segment, { tunnel, mtu }: SegmentView): Bridge {
  const mac = bridgeMac(tunnel.address);
  const alias = `${aliasPrefix}bridge:${segment.name}`;
  return { kind: "bridge", name: bridgeDevice, alias, mac, mtu, multicastSnooping: true, querier: true };
}

function bridgePort({ floodUnknown }: Segment, special: Partial<BridgePort>): BridgePort {
  const usual = { learning: false, neighSuppress: false, isolated: false, multicastRouter: false };
  return { bridge: bridgeDevice, flood: floodUnknown, ...usual, ...special };
}

function neighbour(address: string, mac: string): KernelObject {
  return { kind: "neighbour", where: "mesh", device: bridgeDevice, address, mac };
}
