import { errnoOf } from "../ffi/system.js";
import type { BridgeFdb, KernelObject, VxlanFdb, VxlanRemote } from "../model.js";
import {
  addBridgeFdb,
  addFdb,
  anyMac,
  deleteBridgeFdb,
  deleteFdb,
  dumpFdb,
  type FdbValue,
  type FoundBridgeFdb,
  type FoundFdb,
  getAnyFdb,
} from "../netlink/fdb.js";
import { canonicalIp } from "../netlink/ip.js";
import { getLink, type Link, vxlanData } from "../netlink/link.js";
import type { Session } from "./session.js";

/** Sends frames to that MAC address there; for a "vxlan-remote" everything. */
export function settleFdb(session: Session, entry: VxlanRemote | VxlanFdb): void {
  const what = `send ${textOf(entry)}`;
  session.home.meshSocket.request(addFdb(what, session.index("mesh", entry.device), entryOf(entry)));
}

/** Makes it the only one. The new one is in before the others go. */
export function replaceRemote(session: Session, remote: VxlanRemote): void {
  settleFdb(session, remote);
  const socket = session.home.meshSocket;
  const link = getLink(socket, remote.device);
  if (link === undefined) return;
  const address = canonicalIp(remote.address);
  const own = ownVni(link);
  for (const other of dumpFdb(socket, link.index).filter(isRemote)) {
    if (other.mac !== anyMac || (other.address === address && (other.vni ?? own) === remote.vni)) continue;
    socket.request(deleteFdb(`stop sending ${remote.device} to ${other.address}`, link.index, other));
  }
}

/** Not there: nothing to do. */
export function removeFdb(session: Session, entry: VxlanRemote | VxlanFdb): void {
  const link = getLink(session.home.meshSocket, entry.device);
  if (link === undefined) return;
  try {
    session.home.meshSocket.request(deleteFdb(`stop sending ${textOf(entry)}`, link.index, entryOf(entry)));
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
  }
}

/** Leads the bridge's frames for that MAC address to its port. */
export function settleBridgeFdb(session: Session, entry: BridgeFdb): void {
  const { device, mac, yields = false } = entry;
  // One that stays would go on staying.
  if (yields) removeBridgeFdb(session, entry);
  session.home.meshSocket.request(addBridgeFdb(`lead ${mac} to ${device}`, session.index("mesh", device), { mac, yields }));
}

/** Not there, or led to another port by now: nothing to do. */
export function removeBridgeFdb(session: Session, { device, mac }: BridgeFdb): void {
  const link = getLink(session.home.meshSocket, device);
  if (link?.master === undefined) return;
  try {
    session.home.meshSocket.request(deleteBridgeFdb(`stop leading ${mac} to ${device}`, link.index, mac));
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
  }
}

/** Devices of the mesh namespace that are wanted to have "vxlan-fdb". */
export function switching(wanted: readonly KernelObject[]): ReadonlySet<string> {
  const devices = new Set<string>();
  for (const object of wanted) if (object.kind === "vxlan-fdb") devices.add(object.device);
  return devices;
}

/** What leads over one device, without a dump where only its remote is of interest. */
export function findFdb(session: Session, link: Link, wanted: readonly KernelObject[]): (VxlanFdb | VxlanRemote | BridgeFdb)[] {
  if (link.kind !== "vxlan" && link.master === undefined) return [];
  const devices = switching(wanted);
  const socket = session.home.meshSocket;
  if (isSwitching(session, link, devices)) return foundFdb(session, link, dumpFdb(socket, link.index), { devices, wanted });
  const remote = getAnyFdb(socket, link.index);
  return remote === undefined ? [] : readRemotes(link, [remote], wanted);
}

/** What was read of a device, in the model's words. */
export function foundFdb(
  session: Session,
  link: Link,
  entries: readonly (FoundFdb | FoundBridgeFdb)[],
  { devices, wanted }: { readonly devices: ReadonlySet<string>; readonly wanted: readonly KernelObject[] },
): (VxlanFdb | VxlanRemote | BridgeFdb)[] {
  if (entries.length === 0) return [];
  const device = link.name;
  const remotes = entries.filter(isRemote);
  const bridged = entries.flatMap((entry): BridgeFdb[] => {
    if (isRemote(entry)) return [];
    return [{ kind: "bridge-fdb", device, mac: entry.mac, ...(entry.yields ? { yields: true } : {}) }];
  });
  if (!isSwitching(session, link, devices)) {
    const toAll = remotes.filter(({ mac }) => mac === anyMac);
    return [...readRemotes(link, toAll, wanted), ...bridged];
  }
  const own = ownVni(link);
  return [...remotes.map(({ mac, address, vni }): VxlanFdb => ({ kind: "vxlan-fdb", device, mac, address, vni: vni ?? own })), ...bridged];
}

/** What goes without saying in an entry of a VXLAN device. */
function ownVni(link: Link): number {
  return link.kind === "vxlan" ? vxlanData(link).vni : 0;
}

function isRemote(entry: FoundFdb | FoundBridgeFdb): entry is FoundFdb {
  return "address" in entry;
}

function isSwitching(session: Session, link: Link, devices: ReadonlySet<string>): boolean {
  return session.home.segment !== undefined || link.master !== undefined || devices.has(link.name);
}

/** A device with more remotes than the one it may have shows one of the others, so that it is seen as different. */
function readRemotes(link: Link, remotes: readonly FoundFdb[], wanted: readonly KernelObject[]): VxlanRemote[] {
  const device = link.name;
  const own = ownVni(link);
  const found = remotes.map(({ address, vni }) => ({ kind: "vxlan-remote" as const, device, address, vni: vni ?? own }));
  if (found.length < 2) return found;
  const right = wanted.find((object) => object.kind === "vxlan-remote" && object.device === device) as VxlanRemote | undefined;
  return found.filter((remote) => remote.address !== right?.address || remote.vni !== right.vni).slice(0, 1);
}

function entryOf(entry: VxlanRemote | VxlanFdb): FdbValue & { vni: number } {
  const { address, vni } = entry;
  return { mac: entry.kind === "vxlan-remote" ? anyMac : entry.mac, address, vni };
}

function textOf({ device, address, vni, ...rest }: VxlanRemote | VxlanFdb): string {
  return `${device} ${"mac" in rest ? `for ${rest.mac} ` : ""}to ${address} VNI ${vni}`;
}
