import fs from "node:fs";
import { MeshError } from "../../core/error.js";
import { same } from "../difference.js";
import { errnoOf } from "../ffi/system.js";
import type { Address, Neighbour, Route, Rule, Where } from "../model.js";
import { addAddress, deleteAddress } from "../netlink/address.js";
import { canonicalNetwork } from "../netlink/ip.js";
import { getLink } from "../netlink/link.js";
import type { Request } from "../netlink/message.js";
import { addNeighbour, deleteNeighbour } from "../netlink/neighbour.js";
import { addRoute, deleteRoute, dumpRoutes } from "../netlink/route.js";
import { addRule, deleteRule, dumpRules, type RuleValue } from "../netlink/rule.js";
import type { Session } from "./session.js";

/** Puts the address on, and IPv6 where the device has none: pods often come with `disable_ipv6`, and devices of the mesh do. */
export function settleAddress(session: Session, address: Address): void {
  const index = session.index(address.where, address.device);
  const request = addAddress(`add ${address.address} to ${place(address)}`, index, address.address);
  const socket = session.socket(address.where);
  try {
    socket.request(request);
  } catch (error) {
    if (errnoOf(error) !== "EACCES") throw error;
    session.within(address.where, () => fs.writeFileSync(`/proc/sys/net/ipv6/conf/${address.device}/disable_ipv6`, "0"));
    socket.request(request);
  }
}

/** Gone already: nothing to do. */
export function removeAddress(session: Session, address: Address): void {
  remove(session, address, (index) => deleteAddress(`remove ${address.address} from ${place(address)}`, index, address.address));
}

/** Takes the place of our own route to the prefix over that device; a route of somebody else's is never replaced. */
export function settleRoute(session: Session, route: Route): void {
  const index = session.index(route.where, route.device);
  const what = `add the route to ${route.prefix} over ${place(route)}`;
  const socket = session.socket(route.where);
  try {
    socket.request(addRoute(what, index, route, "add"));
  } catch (cause) {
    if (errnoOf(cause) !== "EEXIST") throw cause;
    const prefix = canonicalNetwork(route.prefix);
    if (!dumpRoutes(socket, index).some((ours) => ours.prefix === prefix && ours.table === route.table && ours.metric === route.metric)) {
      throw new MeshError(
        "exists",
        `${what}: there is a route to that prefix already, and it is not ours; remove it or leave the prefix out`,
        { cause },
      );
    }
    socket.request(addRoute(what, index, route, "replace"));
  }
}

/** Gone already: nothing to do. */
export function removeRoute(session: Session, route: Route): void {
  remove(session, route, (index) => deleteRoute(`remove the route to ${route.prefix} over ${place(route)}`, index, route));
}

/** Makes it the only one of its family and table. The new one is in before the other goes. */
export function settleRule(session: Session, rule: Rule): void {
  const socket = session.socket(rule.where);
  const others = dumpRules(socket).filter(({ family, table }) => family === rule.family && table === rule.table);
  const right = (other: RuleValue) => same(rule, { kind: "rule", where: rule.where, device: rule.device, ...other });
  if (!others.some(right)) socket.request(addRule(`add ${ruleText(rule)}`, rule));
  for (const other of others) if (!right(other)) socket.request(deleteRule(`remove another rule than ${ruleText(rule)}`, other));
}

/** Gone already, also with its pod: nothing to do. */
export function removeRule(session: Session, rule: Rule): void {
  try {
    session.socket(rule.where).request(deleteRule(`remove ${ruleText(rule)}`, rule));
  } catch (error) {
    if (!(error instanceof MeshError) || error.code !== "netns-gone") throw error;
  }
}

function ruleText(rule: Rule): string {
  return `the rule that leads to table ${rule.table} in the pod at ${rule.where.path}`;
}

export function settleNeighbour(session: Session, neighbour: Neighbour): void {
  const index = session.index(neighbour.where, neighbour.device);
  const what = `add the neighbour ${neighbour.address} on ${place(neighbour)}`;
  session.socket(neighbour.where).request(addNeighbour(what, index, neighbour.address, neighbour.mac));
}

/** Gone already: nothing to do. */
export function removeNeighbour(session: Session, neighbour: Neighbour): void {
  const what = `remove the neighbour ${neighbour.address} from ${place(neighbour)}`;
  remove(session, neighbour, (index) => deleteNeighbour(what, index, neighbour.address));
}

function remove(session: Session, from: { where: Where; device: string }, request: (index: number) => Request): void {
  try {
    const socket = session.socket(from.where);
    const link = getLink(socket, from.device);
    if (link !== undefined) socket.request(request(link.index));
  } catch (error) {
    // With its pod, its device or its last address it went by itself.
    if (error instanceof MeshError && error.code === "netns-gone") return;
    if (!["ENOENT", "ESRCH", "EADDRNOTAVAIL", "ENODEV"].includes(errnoOf(error) ?? "")) throw error;
  }
}

function place(on: { where: Where; device: string }): string {
  return on.where === "mesh" ? on.device : `${on.device} of the pod at ${on.where.path}`;
}
