import { type ChildProcess, spawn } from "node:child_process";
import os from "node:os";
import { MeshError } from "../../core/error.js";
import { netnsPath, within } from "../../kernel/netns.js";
import type { Context } from "../context.js";
import { listed } from "./pods.js";
import { type LabRecord, needLab } from "./record.js";

/** Runs a command in the namespace of a node, a pod, `wan` or `NODE/mesh`, with this terminal. Resolves to its exit code. */
export async function execIn(context: Context, prefix: string, where: string, command: readonly string[]): Promise<number> {
  return await execAt(context, netnsPath(namespaceOf(needLab(prefix), where)), command);
}

/** The same in the network namespace at that path. */
export async function execAt(context: Context, path: string, command: readonly string[]): Promise<number> {
  const [file = "", ...args] = command;
  const child = within(path, () => spawn(file, args, { stdio: "inherit" }));
  return await ended(child, file, context.signal);
}

function namespaceOf(lab: LabRecord, where: string): string {
  if (where === "wan") return lab.wan;
  const pod = lab.pods.find((one) => one.name === where);
  if (pod !== undefined) return pod.namespace;
  const node = lab.nodes.find((one) => one.name === where || `${one.name}/mesh` === where);
  if (node !== undefined) return node.name === where ? node.namespace : node.mesh;
  throw new MeshError(
    "not-found",
    `no node or pod ${where} in the lab ${lab.prefix}; ${listed("nodes", lab.nodes)}; ${listed("pods", lab.pods)}`,
  );
}

function ended(child: ChildProcess, file: string, signal: AbortSignal): Promise<number> {
  // On a terminal Ctrl-C reaches the command by itself.
  const stop = () => void (process.stdin.isTTY || child.kill("SIGINT"));
  signal.addEventListener("abort", stop, { once: true });
  return new Promise<number>((resolve, reject) => {
    child.once("error", (cause) => reject(new MeshError("not-found", `${file} cannot be started: ${cause.message}`, { cause })));
    child.once("close", (code, by) => resolve(code ?? 128 + (by === null ? 0 : os.constants.signals[by])));
  }).finally(() => signal.removeEventListener("abort", stop));
}
