import { join } from "node:path";
import { open } from "lmdb";
import { nodeFiles } from "../../cli/lab/files.js";
import { listSegmentNetns, segmentPrefix } from "../../kernel/segment.js";
import { check } from "./command.js";
import type { Crowd } from "./crowd.js";
import type { Lab } from "./lab.js";

/** What is still there of the segments of crowds that have all left, a line each; empty: nothing. */
export async function leftoversOf(lab: Lab, crowds: readonly Crowd[]): Promise<string[]> {
  const found = await Promise.all(crowds.map(async (crowd) => [...(await ofNode(lab, crowd)), ...(await ofPods(crowd))]));
  return found.flat();
}

async function ofNode(lab: Lab, { node, segment, client }: Crowd): Promise<string[]> {
  const signal = AbortSignal.timeout(10_000);
  const mesh = `${lab.prefix}-${node}-mesh`;
  const [attachments, connections, endpoints] = await Promise.all([
    client.listAttachments(signal),
    client.listConnections(signal),
    client.listEndpoints(signal),
  ]);
  const ofKernel = await Promise.all(
    [
      ["ip", "-o", "-n", mesh, "link", "show", "type", "vxlan"],
      ["ip", "-o", "-n", mesh, "link", "show", "type", "veth"],
      ["bridge", "-n", mesh, "fdb"],
      ["nsenter", `--net=/run/netns/${mesh}`, "--", "sh", "-c", "nft list ruleset | grep -A3 'elements = ' || true"],
    ].map(([command = "", ...args]) => check(command, args)),
  );
  const told = [
    ...listSegmentNetns(segmentPrefix(mesh)).map((name) => `the namespace ${name}`),
    ...ofKernel.flatMap(linesOf).map((line) => `in the kernel: ${line}`),
    ...attachments.map(({ id }) => `the attachment ${id}`),
    ...connections.map(({ id }) => `the connection ${id}`),
    ...endpoints.flatMap(({ name, networkServiceNames }) => (networkServiceNames.includes(segment) ? [`the endpoint ${name}`] : [])),
    ...keysOf(lab, node).map((key) => `on disk: ${key}`),
  ];
  return told.map((what) => `${node}: ${what}`);
}

async function ofPods(crowd: Crowd): Promise<string[]> {
  const script = 'for name; do ip -o -n "$name" link show type veth | sed "s/^/$name: /"; done';
  return linesOf(await check("sh", ["-c", script, "sh", ...crowd.pods.map((pod) => crowd.namespace(pod))]));
}

/** Of what a node's programs keep on disk, what belongs to connections and segments. */
function keysOf(lab: Lab, node: string): string[] {
  const files = nodeFiles(lab.prefix, node);
  const states = [keysIn(join(files.state("forwarder"), "store")), keysIn(files.state("nsmgr"))].flat();
  const entries = keysIn(join(files.state("registry"), "store"), "entries");
  return [
    ...states.filter((key) => /^(attachment|connection|member|segment|segment-nodes)\//.test(key)),
    ...entries.filter((key) => /^segment-block\/.*\//.test(key)),
  ];
}

function keysIn(path: string, name?: string): string[] {
  const root = open<unknown, string>({ path, readOnly: true, noSubdir: false, encoding: "json" });
  try {
    return [...(name === undefined ? root : root.openDB<unknown, string>({ name })).getKeys()];
  } finally {
    void root.close();
  }
}

function linesOf(text: string): string[] {
  return text.split("\n").filter((line) => line.trim() !== "");
}
