import { existsSync } from "node:fs";
import type { Clock } from "../../core/clock.js";
import { MeshError } from "../../core/error.js";
import { netnsPath, removeNetns } from "../../kernel/netns.js";
import { type NodePlan, parsePodName, podNamespace } from "./layout.js";
import { changeLab } from "./lock.js";
import { raisePod } from "./network.js";
import { killProcesses, residents } from "./process.js";
import { type LabRecord, needLab, type PodRecord } from "./record.js";

/** Makes a pod beside a node: a network namespace that this node's mesh may be asked to join. */
export async function addPod(prefix: string, name: string, node: string, clock: Clock): Promise<PodRecord> {
  const pod = { name: parsePodName(name), node: needNode(needLab(prefix), node).name, namespace: podNamespace(prefix, name) };
  if (existsSync(netnsPath(pod.namespace)) && needLab(prefix).pods.every((one) => one.name !== name))
    throw new MeshError(
      "exists",
      `there is a network namespace ${pod.namespace} already that is not the lab's; take another name for the pod`,
    );
  await changeLab(prefix, clock, (lab) => {
    if (lab.nodes.some((one) => one.name === name))
      throw new MeshError("exists", `${name} is a node of this lab; take another name for the pod`);
    const there = lab.pods.find((one) => one.name === name);
    if (there !== undefined) throw new MeshError("exists", `pod ${name} exists already, on ${there.node}; take another name`);
    return { ...lab, pods: [...lab.pods, pod] };
  });
  try {
    raisePod(pod.namespace);
  } catch (error) {
    await forget(prefix, name, clock);
    throw error;
  }
  return pod;
}

/** Ends what runs in a pod and takes its namespace away; its node's mesh notices by itself. */
export async function removePod(prefix: string, name: string, clock: Clock): Promise<void> {
  const pod = needPod(needLab(prefix), name);
  await killProcesses(residents([netnsPath(pod.namespace)]), clock);
  removeNetns(pod.namespace);
  await forget(prefix, name, clock);
}

/** The pod of that name; "not-found" names those that are there. */
export function needPod(lab: LabRecord, name: string): PodRecord {
  const pod = lab.pods.find((one) => one.name === name);
  if (pod === undefined) throw new MeshError("not-found", `no pod ${name} in the lab ${lab.prefix}; ${listed("pods", lab.pods)}`);
  return pod;
}

/** The node of that name; "not-found" names those that are there. */
export function needNode(lab: LabRecord, name: string): NodePlan {
  const node = lab.nodes.find((one) => one.name === name);
  if (node === undefined) throw new MeshError("not-found", `no node ${name} in the lab ${lab.prefix}; ${listed("nodes", lab.nodes)}`);
  return node;
}

/** `pods: a, b`, or that there are none. */
export function listed(what: string, things: readonly { readonly name: string }[]): string {
  return things.length === 0 ? `it has no ${what}` : `its ${what}: ${things.map(({ name }) => name).join(", ")}`;
}

async function forget(prefix: string, name: string, clock: Clock): Promise<void> {
  await changeLab(prefix, clock, (lab) => ({ ...lab, pods: lab.pods.filter((one) => one.name !== name) }));
}
