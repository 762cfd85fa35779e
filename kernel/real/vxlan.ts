import { MeshError } from "../../core/error.js";
import { errnoOf } from "../ffi/system.js";
import type { Vxlan } from "../model.js";
import { checkDeviceName } from "../names.js";
import { canonicalIp } from "../netlink/ip.js";
import { createVxlan, getLink, type Link, vxlanData } from "../netlink/link.js";
import { settleBridgePort } from "./bridge.js";
import { change } from "./change.js";
import { isOurs, ourGroup } from "./owner.js";
import { removeLink } from "./remove.js";
import type { Session } from "./session.js";

/** Makes the device as wanted. What the kernel cannot change in place is made anew under the same index. */
export function settleVxlan(session: Session, vxlan: Vxlan): void {
  checkDeviceName(vxlan.name);
  const socket = session.home.meshSocket;
  const link = getLink(socket, vxlan.name);
  if (link !== undefined && !isOurs(link)) {
    throw new MeshError("exists", `the mesh namespace has a device ${vxlan.name} that is not ours; delete it`);
  }
  if (link === undefined || !sameBirth(vxlan, link)) {
    if (link !== undefined) removeLink(socket, link);
    create(session, vxlan, link?.index);
  }
  const made = getLink(socket, vxlan.name);
  if (made === undefined) throw new MeshError("kernel", `the VXLAN device ${vxlan.name} vanished while it was made`);
  settleBridgePort(session, made, vxlan.bridge);
  const { alias, mtu, mac } = vxlan;
  const right = { alias, mtu, group: ourGroup, up: true, ...(mac === undefined ? {} : { mac }) };
  change(socket, `the VXLAN device ${vxlan.name}`, made, right);
  session.learnIndex("mesh", vxlan.name, made.index);
}

/** A found device in the model's words. */
export function foundVxlan(link: Link): Vxlan {
  const { vni, udpPort, local, learning } = vxlanData(link);
  const fault = learning ? "it learns" : link.up ? undefined : "it is down";
  const { name, alias, mtu, mac } = link;
  return { kind: "vxlan", name, alias, vni, udpPort, local, madeIn: madeIn(link), mtu, mac, ...(fault === undefined ? {} : { fault }) };
}

function create(session: Session, vxlan: Vxlan, index: number | undefined): void {
  const { name, mtu, vni } = vxlan;
  const { meshSocket, nodeSocket, meshFd } = session.home;
  const link = { name, mtu, group: ourGroup, ...(index === undefined ? {} : { index }) };
  try {
    if (vxlan.madeIn === "mesh") meshSocket.request(createVxlan(link, vxlan));
    else nodeSocket.request(createVxlan({ ...link, netns: meshFd }, vxlan));
  } catch (cause) {
    if (errnoOf(cause) !== "EEXIST") throw cause;
    throw new MeshError("exists", `VNI ${vni} on UDP port ${vxlan.udpPort} is taken by another VXLAN device of this node; choose another`, {
      cause,
    });
  }
}

function sameBirth(vxlan: Vxlan, link: Link): boolean {
  const data = vxlanData(link);
  return (
    link.kind === "vxlan" &&
    data.vni === vxlan.vni &&
    data.udpPort === vxlan.udpPort &&
    data.local === canonicalIp(vxlan.local) &&
    !data.learning &&
    madeIn(link) === vxlan.madeIn
  );
}

/** The kernel names the namespace in which a VXLAN device encapsulates only where it is another one. */
function madeIn(link: Link): Vxlan["madeIn"] {
  return link.peerNetnsId === undefined ? "mesh" : "node";
}
