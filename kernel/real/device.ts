import { MeshError } from "../../core/error.js";
import type { KernelObject, Netns, Port, Where } from "../model.js";
import { dumpAddresses } from "../netlink/address.js";
import type { Link } from "../netlink/link.js";
import { dumpNeighbours } from "../netlink/neighbour.js";
import { dumpRoutes } from "../netlink/route.js";
import { podEnd } from "./port.js";
import type { Session } from "./session.js";
import { foundVxlan } from "./vxlan.js";

/** The wanted port of each name: who looks, and in which pod. */
export type WantedPorts = ReadonlyMap<string, Port>;

const nowhere: Netns = { path: "", cookie: "" };

export function wantedPorts(wanted: readonly KernelObject[]): WantedPorts {
  return new Map(wanted.filter((object) => object.kind === "port").map((port) => [port.name, port]));
}

/** One device of the mesh namespace with what it is by itself: a port with its pod's end and all on it, or a VXLAN device. */
export function readDevice(session: Session, link: Link, ports: WantedPorts): KernelObject[] {
  if (link.kind === "veth") return readPort(session, link, ports.get(link.name));
  return link.kind === "vxlan" ? [foundVxlan(link)] : [];
}

/** Addresses, routes and neighbours of one device. */
export function readOnDevice(session: Session, where: Where, device: string, index: number): KernelObject[] {
  const socket = session.socket(where);
  return [
    ...dumpAddresses(socket, index).map(({ address }) => ({ kind: "address" as const, where, device, address })),
    ...dumpNeighbours(socket, index).map(({ address, mac }) => ({ kind: "neighbour" as const, where, device, address, mac })),
    ...dumpRoutes(socket, index).map(({ index: _, ...route }) => ({ kind: "route" as const, where, device, ...route })),
  ];
}

function readPort(session: Session, link: Link, wanted: Port | undefined): KernelObject[] {
  const { name, alias, mtu } = link;
  const base = { kind: "port" as const, name, alias, mtu };
  if (wanted === undefined) return [{ ...base, pod: nowhere, podInterface: "", podMac: "" }];
  const { pod, podInterface, podMac } = wanted;
  const lost = (fault: string): KernelObject[] => [{ ...base, pod, podInterface, podMac, fault }];
  try {
    const end = podEnd(session, link, wanted);
    if (end === undefined) return lost("its end is not in the pod's namespace any more");
    const port = { ...base, mtu: end.mtu === wanted.mtu ? mtu : end.mtu, pod, podInterface: end.name, podMac: end.mac };
    const fault = faultOf(link, end);
    // By the wanted name, also where the pod renamed its end: renaming back is then all there is to do.
    return [{ ...port, ...(fault === undefined ? {} : { fault }) }, ...readOnDevice(session, pod, podInterface, end.index)];
  } catch (error) {
    if (error instanceof MeshError && error.code === "netns-gone")
      return lost(`there is another network namespace, or none, at ${pod.path}`);
    throw error;
  }
}

function faultOf(link: Link, end: Link): string | undefined {
  if (!end.up) return "the pod's end is down";
  return link.up ? undefined : "the port is down";
}
