import fs from "node:fs";
import { MeshError } from "../../core/error.js";
import type { Bridge, BridgePort } from "../model.js";
import { checkDeviceName } from "../names.js";
import { bridgeData, bridgePortData, changeBridge, changeBridgePort, createBridge } from "../netlink/bridge.js";
import { changeLink, getLink, type Link } from "../netlink/link.js";
import { change } from "./change.js";
import { isOurs, ourGroup } from "./owner.js";
import { removeLink } from "./remove.js";
import type { Session } from "./session.js";

/** Makes the bridge as wanted, or changes it in place. */
export function settleBridge(session: Session, bridge: Bridge): void {
  const { name, mac, alias, mtu } = bridge;
  checkDeviceName(name);
  const socket = session.home.meshSocket;
  const link = getLink(socket, name);
  if (link !== undefined && !isOurs(link)) throw new MeshError("exists", `the namespace has a device ${name} that is not ours; delete it`);
  if (link !== undefined && link.kind !== "bridge") removeLink(socket, link);
  if (link?.kind === "bridge") socket.request(changeBridge(`change the bridge ${name}`, link, bridge));
  else socket.request(createBridge({ name, mac, group: ourGroup }, bridge));
  const made = getLink(socket, name);
  if (made === undefined) throw new MeshError("kernel", `the bridge ${name} vanished while it was made`);
  change(socket, `the bridge ${name}`, made, { alias, mac, mtu, group: ourGroup, up: true });
  // Without it the bridge could know no IPv6 neighbours, whom it answers for.
  if (!made.ipv6) session.within("mesh", () => fs.writeFileSync(`/proc/sys/net/ipv6/conf/${name}/disable_ipv6`, "0"));
  session.learnIndex("mesh", name, made.index);
}

/** A found device in the model's words. */
export function foundBridge(link: Link): Bridge {
  const { name, alias, mac, mtu } = link;
  const { multicastSnooping, querier, stp, vlanFiltering } = bridgeData(link);
  const fault = [
    stp && "it runs the spanning tree protocol",
    vlanFiltering && "it filters VLANs",
    !link.ipv6 && "it has no IPv6",
    !link.up && "it is down",
  ].find((words) => words !== false);
  return { kind: "bridge", name, alias, mac, mtu, multicastSnooping, querier, ...(fault === undefined ? {} : { fault }) };
}

/** Makes a device a port of the wanted bridge, or of none. Best before it is up: at first a port floods and learns. */
export function settleBridgePort(session: Session, link: Link, wanted: BridgePort | undefined): void {
  const socket = session.home.meshSocket;
  const master = wanted === undefined ? 0 : session.index("mesh", wanted.bridge);
  if (master !== (link.master ?? 0))
    socket.request(changeLink(`join ${link.name} to ${wanted?.bridge ?? "no bridge"}`, link.index, { master }));
  if (wanted !== undefined)
    socket.request(changeBridgePort(`set what ${link.name} does as a port of ${wanted.bridge}`, link.index, wanted));
}

/** What a found device is as a port. A bridge that cannot be told shows no name, so it is seen as another one. */
export function foundBridgePort(session: Session, link: Link): { readonly bridge?: BridgePort } {
  if (link.master === undefined) return {};
  return { bridge: { bridge: session.deviceName(link.master) ?? "", ...bridgePortData(link) } };
}
