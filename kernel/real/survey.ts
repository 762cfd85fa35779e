import type { KernelObject, Redirect, VxlanRemote } from "../model.js";
import { dumpAddresses } from "../netlink/address.js";
import { dumpLinks, getLink, type Link, vxlanData } from "../netlink/link.js";
import { dumpNeighbours, dumpRemotes, type FoundRemote, getRemote } from "../netlink/neighbour.js";
import { dumpRoutes } from "../netlink/route.js";
import { findRedirect } from "../tc.js";
import { readDevice, readOnDevice, wantedPorts } from "./device.js";
import { isOurs } from "./owner.js";
import type { Session } from "./session.js";

/** All of the mesh namespace that is ours but the devices themselves, and the links to read them from. `tunnels`: the WireGuard devices. */
export function readMesh(
  session: Session,
  tunnels: ReadonlySet<string>,
  wanted: readonly KernelObject[],
): { links: Link[]; objects: KernelObject[] } {
  const socket = session.home.meshSocket;
  const all = dumpLinks(socket);
  const links = all.filter((link) => isOurs(link) || tunnels.has(link.name));
  const names = new Map(all.map((link) => [link.index, link.name]));
  const remotes = byIndex(dumpRemotes(socket, 0));
  const objects = [
    ...links.flatMap((link) => readRedirect(session, link, (index) => names.get(index))),
    ...links.flatMap((link) => readRemotes(link, remotes.get(link.index) ?? [], wanted)),
    ...readAllOnDevices(session, new Map(links.map((link) => [link.index, link.name]))),
  ];
  return { links, objects };
}

/** The same of one device, and the device, by questions about it alone. */
export function findDevice(session: Session, device: string, wanted: readonly KernelObject[]): KernelObject[] {
  const socket = session.home.meshSocket;
  const link = getLink(socket, device);
  if (link === undefined) return [];
  const remote = link.kind === "vxlan" ? getRemote(socket, link.index) : undefined;
  const ports = wantedPorts(wanted.filter((object) => object.kind === "port" && object.name === device));
  return [
    ...(isOurs(link) ? readDevice(session, link, ports) : []),
    ...readRedirect(session, link, (index) => getLink(socket, index)?.name),
    ...(remote === undefined ? [] : readRemotes(link, [remote], wanted)),
    // Ports and VXLAN devices bear no addresses; looking for routes would cost what the whole table costs.
    ...(link.kind === "veth" || link.kind === "vxlan" ? [] : readOnDevice(session, "mesh", device, link.index)),
  ];
}

/** Where a device sends what comes in, if it does. */
export function readRedirect(session: Session, link: Link, nameOf: (index: number) => string | undefined): Redirect[] {
  const target = findRedirect(session.home.meshSocket, link.index);
  if (target === undefined) return [];
  const { by, ethernet } = target;
  // A target that is gone has no name, so the redirect is seen as different.
  const to = nameOf(target.index) ?? "";
  return [{ kind: "redirect", from: link.name, to, by, ...(ethernet === undefined ? {} : { ethernet }) }];
}

/** A device with more remotes than the one it may have shows one of the others, so that it is seen as different. */
function readRemotes(link: Link, remotes: readonly FoundRemote[], wanted: readonly KernelObject[]): VxlanRemote[] {
  const device = link.name;
  const own = link.kind === "vxlan" ? vxlanData(link).vni : 0;
  const found = remotes.map(({ address, vni }) => ({ kind: "vxlan-remote" as const, device, address, vni: vni ?? own }));
  if (found.length < 2) return found;
  const right = wanted.find((object) => object.kind === "vxlan-remote" && object.device === device) as VxlanRemote | undefined;
  return found.filter((remote) => remote.address !== right?.address || remote.vni !== right.vni).slice(0, 1);
}

/** Addresses, routes and neighbours of all devices of ours, by one dump each. */
function readAllOnDevices(session: Session, names: ReadonlyMap<number, string>): KernelObject[] {
  const socket = session.home.meshSocket;
  const where = "mesh" as const;
  const own = <T extends { index: number }, V>(found: readonly T[], value: (device: string, found: T) => V): V[] =>
    found.flatMap((object) => {
      const device = names.get(object.index);
      return device === undefined ? [] : [value(device, object)];
    });
  return [
    ...own(dumpAddresses(socket, 0), (device, { address }) => ({ kind: "address" as const, where, device, address })),
    ...own(dumpNeighbours(socket, 0), (device, { address, mac }) => ({ kind: "neighbour" as const, where, device, address, mac })),
    ...own(dumpRoutes(socket, 0), (device, { index: _, ...route }) => ({ kind: "route" as const, where, device, ...route })),
  ];
}

function byIndex<T extends { readonly index: number }>(found: readonly T[]): Map<number, T[]> {
  const groups = new Map<number, T[]>();
  for (const object of found) {
    const group = groups.get(object.index);
    if (group === undefined) groups.set(object.index, [object]);
    else group.push(object);
  }
  return groups;
}
