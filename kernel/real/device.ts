import { MeshError } from "../../core/error.js";
import type { KernelObject, Netns, Port } from "../model.js";
import type { Link } from "../netlink/link.js";
import type { OnDevice } from "./contents.js";
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
export function readDevice(session: Session, link: Link, ports: WantedPorts, read: OnDevice): KernelObject[] {
  if (link.kind === "veth") return readPort(session, link, ports.get(link.name), read);
  return link.kind === "vxlan" ? [foundVxlan(link)] : [];
}

function readPort(session: Session, link: Link, wanted: Port | undefined, read: OnDevice): KernelObject[] {
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
    return [{ ...port, ...(fault === undefined ? {} : { fault }) }, ...read(pod, podInterface, end.index)];
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
