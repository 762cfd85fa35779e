import { errnoOf } from "../ffi/system.js";
import type { KernelObject, VxlanFdb, VxlanRemote } from "../model.js";
import { addFdb, anyMac, deleteFdb, dumpFdb, type FdbValue, type FoundFdb, getAnyFdb } from "../netlink/fdb.js";
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
  const own = vxlanData(link).vni; // goes without saying in an entry
  for (const other of dumpFdb(socket, link.index)) {
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

/** Devices of the mesh namespace that are wanted to have "vxlan-fdb". */
export function switching(wanted: readonly KernelObject[]): ReadonlySet<string> {
  return new Set(wanted.flatMap((object) => (object.kind === "vxlan-fdb" ? [object.device] : [])));
}

/** Where one device sends what, without a dump where only its remote is of interest. */
export function findFdb(session: Session, link: Link, wanted: readonly KernelObject[]): (VxlanFdb | VxlanRemote)[] {
  if (link.kind !== "vxlan") return [];
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
  entries: readonly FoundFdb[],
  { devices, wanted }: { readonly devices: ReadonlySet<string>; readonly wanted: readonly KernelObject[] },
): (VxlanFdb | VxlanRemote)[] {
  if (link.kind !== "vxlan") return [];
  if (!isSwitching(session, link, devices)) {
    return readRemotes(
      link,
      entries.filter(({ mac }) => mac === anyMac),
      wanted,
    );
  }
  const own = vxlanData(link).vni;
  return entries.map(({ mac, address, vni }) => ({ kind: "vxlan-fdb", device: link.name, mac, address, vni: vni ?? own }));
}

function isSwitching(session: Session, link: Link, devices: ReadonlySet<string>): boolean {
  return session.home.segment !== undefined || devices.has(link.name);
}

/** A device with more remotes than the one it may have shows one of the others, so that it is seen as different. */
function readRemotes(link: Link, remotes: readonly FoundFdb[], wanted: readonly KernelObject[]): VxlanRemote[] {
  const device = link.name;
  const own = vxlanData(link).vni;
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
