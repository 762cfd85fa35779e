import type { KernelObject, Redirect } from "../model.js";
import { dumpFdb } from "../netlink/fdb.js";
import { dumpLinks, getLink, type Link } from "../netlink/link.js";
import { findRedirect } from "../tc.js";
import { byIndex, readAll, readOne } from "./contents.js";
import { readDevice, type WantedPorts, wantedPorts } from "./device.js";
import { findFdb, foundFdb, switching } from "./fdb.js";
import { loopback, onLoopback } from "./loopback.js";
import { isOurs } from "./owner.js";
import type { Session } from "./session.js";

/** What `readMesh` found: the links of our devices, the names of all, and what hangs on ours. */
export interface MeshSurvey {
  readonly links: readonly Link[];
  readonly names: ReadonlyMap<number, string>;
  readonly objects: readonly KernelObject[];
}

/** What a few dumps tell of the mesh namespace: all that is ours but the devices themselves and their redirects. `tunnels`: the WireGuard devices. */
export function readMesh(session: Session, tunnels: ReadonlySet<string>, wanted: readonly KernelObject[]): MeshSurvey {
  const socket = session.home.meshSocket;
  const all = dumpLinks(socket);
  const links = all.filter((link) => isOurs(link) || tunnels.has(link.name));
  const names = new Map(all.map((link) => [link.index, link.name]));
  const read = readAll(session);
  const entries = byIndex(dumpFdb(socket, 0));
  const means = { devices: switching(wanted), wanted };
  const objects = [
    ...links.flatMap((link) => foundFdb(session, link, entries.get(link.index) ?? [], means)),
    ...links.flatMap((link) => read("mesh", link.name, link.index)),
    ...onLoopback(session, wanted, read),
  ];
  return { links, names, objects };
}

/** The devices themselves, with their pods' ends and their redirects. */
export function readDevices(session: Session, links: readonly Link[], ports: WantedPorts, names: MeshSurvey["names"]): KernelObject[] {
  const read = readAll(session);
  return links.flatMap((link) => [...readDevice(session, link, ports, read), ...readRedirect(session, link, (index) => names.get(index))]);
}

/** What `readMesh` and `readDevices` read, of one device, and the device, by questions about it alone. */
export function findDevice(session: Session, link: Link, wanted: readonly KernelObject[]): KernelObject[] {
  const socket = session.home.meshSocket;
  const device = link.name;
  const read = readOne(session);
  if (device === loopback.name) return onLoopback(session, wanted, read);
  const ports = wantedPorts(wanted.filter((object) => object.kind === "rule" || (object.kind === "port" && object.name === device)));
  return [
    ...(isOurs(link) ? readDevice(session, link, ports, read) : []),
    ...readRedirect(session, link, (index) => getLink(socket, index)?.name),
    ...findFdb(session, link, wanted),
    // In the mesh, ports and VXLAN devices bear none of these; looking for routes would cost what the whole table costs.
    ...(session.home.segment === undefined && (link.kind === "veth" || link.kind === "vxlan") ? [] : read("mesh", device, link.index)),
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

// Devices read between two turns of the event loop.
const devicesPerTurn = 8;

/** The devices in portions that are read in one go each. Ports of one pod stay together, so that its namespace is read once. */
export function portions(links: readonly Link[], ports: WantedPorts): Link[][] {
  const groups = new Map<string, Link[]>();
  for (const link of links) {
    const key = ports.get(link.name)?.pod.cookie ?? link.name;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [link]);
    else group.push(link);
  }
  const found: Link[][] = [];
  for (const group of groups.values()) {
    const last = found.at(-1);
    if (last === undefined || last.length >= devicesPerTurn) found.push([...group]);
    else last.push(...group);
  }
  return found;
}
