import { MeshError } from "../../core/error.js";
import { errnoOf } from "../ffi/system.js";
import type { Port } from "../model.js";
import { checkDeviceName } from "../names.js";
import { changeLink, createVeth, getLink, type Link } from "../netlink/link.js";
import type { NetlinkSocket } from "../netlink/socket.js";
import { settleBridgePort } from "./bridge.js";
import { change } from "./change.js";
import { isOurs, ourGroup } from "./owner.js";
import { removeLink } from "./remove.js";
import type { Session } from "./session.js";

/** Makes the pair as wanted: anew where it is absent or its end left the pod, else in place. */
export function settlePort(session: Session, port: Port): void {
  checkDeviceName(port.name);
  checkDeviceName(port.podInterface);
  const link = getLink(session.home.meshSocket, port.name);
  const end = link === undefined ? undefined : podEnd(session, link, port);
  if (link !== undefined && end !== undefined) {
    repair(session, port, link, end);
    return;
  }
  if (link !== undefined) makeRoom(session, link);
  create(session, port, link?.index);
}

/** The pod's end of a port, where it still is in that pod. */
export function podEnd(session: Session, link: Link, port: Pick<Port, "pod">): Link | undefined {
  if (link.kind !== "veth" || link.peer === undefined || link.peerNetnsId === undefined) return undefined;
  const socket = session.socket(port.pod);
  return session.netnsId(port.pod) === link.peerNetnsId ? getLink(socket, link.peer) : undefined;
}

function create(session: Session, port: Port, index: number | undefined): void {
  const { name, mtu, mac } = port;
  const end = { name: port.podInterface, mac: port.podMac, mtu, netns: session.descriptor(port.pod) };
  session.socket(port.pod); // gone is found out before anything is made
  try {
    session.home.meshSocket.request(
      createVeth({ name, mtu, group: ourGroup, ...(mac === undefined ? {} : { mac }), ...(index === undefined ? {} : { index }) }, end),
    );
  } catch (cause) {
    if (errnoOf(cause) !== "EEXIST") throw cause;
    throw new MeshError("exists", `the pod at ${port.pod.path} has an interface ${port.podInterface} already; name another one`, { cause });
  }
  const link = getLink(session.home.meshSocket, name);
  const made = link === undefined ? undefined : podEnd(session, link, port);
  if (link === undefined || made === undefined) throw new MeshError("kernel", `the port ${name} vanished while it was made`);
  repair(session, port, link, made);
}

function repair(session: Session, port: Port, link: Link, end: Link): void {
  const { mtu, alias, mac, routeLocalnet } = port;
  settleBridgePort(session, link, port.bridge);
  change(session.home.meshSocket, `the port ${port.name}`, link, {
    ...{ alias, mtu, group: ourGroup, up: true },
    ...(mac === undefined ? {} : { mac }),
  });
  const socket = session.socket(port.pod);
  const what = `the pod's end ${port.podInterface} of the port ${port.name}`;
  if (end.name !== port.podInterface) rename(socket, what, end, port.podInterface);
  change(socket, what, end, { mac: port.podMac, mtu, up: true, ...(routeLocalnet === undefined ? {} : { routeLocalnet }) });
  session.learnIndex("mesh", port.name, link.index);
  session.learnIndex(port.pod, port.podInterface, end.index);
}

/** Kernels before 6.2 rename only what is down. */
function rename(socket: NetlinkSocket, what: string, end: Link, name: string): void {
  try {
    socket.request(changeLink(`rename ${what} back`, end.index, { name }));
  } catch (error) {
    if (errnoOf(error) !== "EBUSY") throw error;
    socket.request(changeLink(`set ${what} down to rename it`, end.index, { up: false }));
    socket.request(changeLink(`rename ${what} back`, end.index, { name }));
    socket.request(changeLink(`set ${what} up again`, end.index, { up: true }));
  }
}

/** Only what is ours is removed to make room. */
function makeRoom(session: Session, link: Link): void {
  if (!isOurs(link)) throw new MeshError("exists", `the mesh namespace has a device ${link.name} that is not ours; delete it`);
  removeLink(session.home.meshSocket, link);
}
