import type { Address, KernelObject, Neighbour, Route, Where } from "../model.js";
import { dumpAddresses } from "../netlink/address.js";
import { dumpNeighbours } from "../netlink/neighbour.js";
import { dumpRoutes } from "../netlink/route.js";
import type { Session } from "./session.js";

/** Addresses, routes and neighbours of one device, which is called `device` and has that number. */
export type OnDevice = (where: Where, device: string, index: number) => KernelObject[];

/** Asks for one device at a time; the kernel filters. */
export function readOne(session: Session): OnDevice {
  return (where, device, index) => contents(session, where, index).map(({ value }) => value(where, device));
}

/** Asks for all devices of a namespace at its first question, and answers the others from that. */
export function readAll(session: Session): OnDevice {
  const known = new Map<string, Map<number, Content[]>>();
  return (where, device, index) => {
    const key = where === "mesh" ? "" : where.cookie;
    const all = known.get(key) ?? byIndex(contents(session, where, 0));
    known.set(key, all);
    return (all.get(index) ?? []).map(({ value }) => value(where, device));
  };
}

/** Groups of things that bear the same device's number. */
export function byIndex<T extends { readonly index: number }>(found: readonly T[]): Map<number, T[]> {
  const groups = new Map<number, T[]>();
  for (const object of found) {
    const group = groups.get(object.index);
    if (group === undefined) groups.set(object.index, [object]);
    else group.push(object);
  }
  return groups;
}

interface Content {
  readonly index: number;
  readonly value: (where: Where, device: string) => Address | Neighbour | Route;
}

function contents(session: Session, where: Where, of: number): Content[] {
  const socket = session.socket(where);
  return [
    // The kernel makes link-local addresses by itself, but not in a segment's namespace.
    ...dumpAddresses(socket, of, where === "mesh" && session.home.segment !== undefined).map(({ index, ...rest }): Content => {
      return { index, value: (where, device) => ({ kind: "address", where, device, ...rest }) };
    }),
    ...dumpNeighbours(socket, of).map(({ index, ...rest }): Content => {
      return { index, value: (where, device) => ({ kind: "neighbour", where, device, ...rest }) };
    }),
    ...dumpRoutes(socket, of).map(({ index, ...rest }): Content => {
      return { index, value: (where, device) => ({ kind: "route", where, device, ...rest }) };
    }),
  ];
}
