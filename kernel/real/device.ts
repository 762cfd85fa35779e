import { MeshError } from "../../core/error.js";
import type { KernelObject, Netns, Port, Rule } from "../model.js";
import type { Link } from "../netlink/link.js";
import { dumpRules } from "../netlink/rule.js";
import { samePort } from "../policyTable.js";
import { foundBridge, foundBridgePort } from "./bridge.js";
import type { OnDevice } from "./contents.js";
import { podEnd } from "./port.js";
import type { Session } from "./session.js";
import { foundVxlan } from "./vxlan.js";

/** A port that somebody wants: that tells in which pod to look, and for which tables' rules. */
export interface WantedPort extends Port {
  readonly tables: readonly number[];
}

/** By name. */
export type WantedPorts = ReadonlyMap<string, WantedPort>;

const nowhere: Netns = { path: "", cookie: "" };

export function wantedPorts(wanted: readonly KernelObject[]): WantedPorts {
  const tables = new Map<string, number[]>();
  for (const object of wanted) {
    if (object.kind !== "rule") continue;
    const end = `${object.where.cookie} ${object.device}`;
    tables.set(end, [...(tables.get(end) ?? []), object.table]);
  }
  const ports = wanted.filter((object) => object.kind === "port");
  return new Map(ports.map((port) => [port.name, { ...port, tables: tables.get(`${port.pod.cookie} ${port.podInterface}`) ?? [] }]));
}

/** One device of the mesh namespace with what it is by itself: a bridge, a port with its pod's end and all on it, or a VXLAN device. */
export function readDevice(session: Session, link: Link, ports: WantedPorts, read: OnDevice): KernelObject[] {
  if (link.kind === "veth") return readPort(session, link, ports.get(link.name), read);
  if (link.kind === "bridge") return [foundBridge(link)];
  return link.kind === "vxlan" ? [{ ...foundVxlan(link), ...foundBridgePort(session, link) }] : [];
}

function readPort(session: Session, link: Link, wanted: WantedPort | undefined, read: OnDevice): KernelObject[] {
  const { name, alias, mtu, mac } = link;
  const base = { kind: "port" as const, name, alias, mtu, mac, ...foundBridgePort(session, link) };
  if (wanted === undefined) return [{ ...base, pod: nowhere, podInterface: "", podMac: "" }];
  const { pod, podInterface, podMac } = wanted;
  const lost = (fault: string): KernelObject[] => [{ ...base, pod, podInterface, podMac, fault }];
  try {
    const end = podEnd(session, link, wanted);
    if (end === undefined) return lost("its end is not in the pod's namespace any more");
    const port = {
      ...base,
      mtu: end.mtu === wanted.mtu ? mtu : end.mtu,
      pod,
      podInterface: end.name,
      podMac: end.mac,
      routeLocalnet: end.routeLocalnet,
    };
    const fault = faultOf(link, end);
    // By the wanted name, also where the pod renamed its end: renaming back is then all there is to do.
    return [{ ...port, ...(fault === undefined ? {} : { fault }) }, ...read(pod, podInterface, end.index), ...readRules(session, wanted)];
  } catch (error) {
    if (error instanceof MeshError && error.code === "netns-gone")
      return lost(`there is another network namespace, or none, at ${pod.path}`);
    throw error;
  }
}

/** Rules bear no device: the table tells whose they are. */
function readRules(session: Session, { pod, podInterface, tables: [table] }: WantedPort): Rule[] {
  if (table === undefined) return [];
  const rules = dumpRules(session.socket(pod)).filter((rule) => samePort(rule.table, table));
  return rules.map((rule) => ({ kind: "rule", where: pod, device: podInterface, ...rule }));
}

function faultOf(link: Link, end: Link): string | undefined {
  if (!end.up) return "the pod's end is down";
  return link.up ? undefined : "the port is down";
}
