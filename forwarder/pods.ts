import fs from "node:fs";
import { MeshError } from "../core/error.js";
import { interfaceIndex } from "../kernel/ffi/file.js";
import type { Netns } from "../kernel/model.js";
import { netnsExists, resolveNetns, within } from "../kernel/netns.js";

/** What the forwarder must know of pods' network namespaces. */
export interface Pods {
  /** The namespace of an `inodeURL`. Not there: "not-found"; something else: "invalid". */
  resolve(url: string): Netns;
  /** Whether it has an interface of that name. Not the same namespace any more: "netns-gone". */
  hasInterface(pod: Netns, name: string): boolean;
  exists(pod: Netns): boolean;
  /** Lets everybody in it send ICMP echo requests: NSM's clients check their connections so, and rely on the forwarder for the right. */
  allowPing(pod: Netns): void;
}

/** The machine's own. */
export const realPods: Pods = {
  resolve: resolveNetns,
  hasInterface: (pod, name) => within(pod, () => interfaceIndex(name) !== 0),
  exists: netnsExists,
  allowPing: (pod) => within(pod, () => writeIfOther("/proc/sys/net/ipv4/ping_group_range", "0\t2147483647")),
};

function writeIfOther(file: string, value: string): void {
  if (fs.readFileSync(file, "utf8").trim() !== value) fs.writeFileSync(file, value);
}

/** The namespace of a connection that was there before: whatever stands in its place now, it is gone. */
export function resolveAgain(pods: Pods, url: string, before: Netns | undefined): Netns {
  if (before === undefined) return pods.resolve(url);
  try {
    const now = pods.resolve(url);
    if (now.cookie === before.cookie) return now;
  } catch (error) {
    if (!(error instanceof MeshError) || error.code !== "not-found") throw error;
  }
  throw new MeshError("netns-gone", `the network namespace at ${url} is gone; its connection ends with it`);
}
