import fs from "node:fs";
import { MeshError } from "../core/error.js";
import type { Netns } from "../kernel/model.js";
import { netnsExists, resolveNetns, within } from "../kernel/netns.js";

/** What the forwarder must know of pods' network namespaces. */
export interface Pods {
  /** The namespace of an `inodeURL`. Not there: "not-found"; something else: "invalid". */
  resolve(url: string): Netns;
  /** Names of all interfaces in it. Not the same namespace any more: "netns-gone". */
  interfaces(pod: Netns): readonly string[];
  exists(pod: Netns): boolean;
  /** Lets everybody in it send ICMP echo requests: NSM's clients check their connections so, and rely on the forwarder for the right. */
  allowPing(pod: Netns): void;
}

/** The machine's own. */
export const realPods: Pods = {
  resolve: resolveNetns,
  // What /proc shows follows the thread's namespace, unlike /sys, which shows the one that mounted it.
  interfaces: (pod) => within(pod, () => namesIn(fs.readFileSync("/proc/thread-self/net/dev", "utf8"))),
  exists: netnsExists,
  allowPing: (pod) => within(pod, () => writeIfOther("/proc/sys/net/ipv4/ping_group_range", "0\t2147483647")),
};

function writeIfOther(file: string, value: string): void {
  if (fs.readFileSync(file, "utf8").trim() !== value) fs.writeFileSync(file, value);
}

function namesIn(table: string): string[] {
  return table
    .split("\n")
    .slice(2)
    .map((line) => line.slice(0, line.indexOf(": ")).trim())
    .filter((name) => name !== "");
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
