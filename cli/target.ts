import type { PodReference } from "../api/gen/isthmus/v1/node.js";
import { MeshError } from "../core/error.js";
import { parseUrl } from "../rpc/url.js";
import { netnsUrl, parseLabels } from "./check.js";
import type { Context, GlobalOptions } from "./context.js";
import { usage } from "./errors.js";
import { nodeFiles } from "./lab/files.js";
import { podNamespace } from "./lab/layout.js";
import { type LabRecord, needLab, readLab } from "./lab/record.js";
import { registryOf } from "./lab/registries.js";

/** Which isthmus.v1 socket to talk to, and what to call the node behind it. */
export interface Target {
  readonly url: string;
  /** The lab's name for the node; undefined outside a lab. */
  readonly node: string | undefined;
}

/** Where a pod's network namespace is. */
export interface PodOptions {
  readonly pod?: string;
  readonly netns?: string;
  readonly pid?: string;
  readonly podLabel?: string[];
}

/** The node that the options name: --node, else --connect-to, else NSM_CONNECT_TO, else `preferred` or the only node of the lab. */
export function targetOf(context: Context, options: GlobalOptions, preferred?: (lab: LabRecord) => string | undefined): Target {
  if (options.node !== undefined && options.connectTo !== undefined) throw usage("give --node or --connect-to, not both");
  if (options.node !== undefined) return inLab(needLab(options.prefix), options.node);
  const url = options.connectTo ?? context.env.NSM_CONNECT_TO;
  if (url !== undefined && url !== "") return { url: socketUrl(url), node: undefined };
  const lab = readLab(options.prefix);
  if (lab === undefined)
    throw usage(
      `say which node: --connect-to unix:///PATH or NSM_CONNECT_TO names the isthmus.v1 socket of an nsmgr, --node NAME a lab's node`,
    );
  const name = preferred?.(lab) ?? (lab.nodes.length === 1 ? lab.nodes[0]?.name : undefined);
  if (name === undefined) throw usage(`say which node: --node ${lab.nodes.map((node) => node.name).join(" or --node ")}`);
  return inLab(lab, name);
}

/** A node of the lab for what every node of a site knows: of the site that --registry names, else the first. */
export function anyNode({ registry }: { readonly registry?: string }): (lab: LabRecord) => string | undefined {
  return ({ nodes }) => (nodes.find(({ site }) => site === registry) ?? nodes[0])?.name;
}

/** What `--registry` says of itself. */
export const registryOption =
  "the registry's isthmus.v1 socket, or a site of the lab (default: that of --node, else the lab's first, else that of this machine)";

/** The isthmus.v1 socket of a registry: named by its socket or a lab's site, else that of the lab's node, else the lab's first. */
export function registryTarget(options: GlobalOptions & { readonly registry?: string }): string {
  const { registry, prefix } = options;
  const lab = readLab(prefix);
  const sites = lab?.sites ?? [];
  const wanted = registry ?? lab?.nodes.find(({ name }) => name === options.node)?.site;
  const site = wanted === undefined ? sites[0] : sites.find(({ name }) => name === wanted);
  if (lab !== undefined && site !== undefined) return `unix://${nodeFiles(prefix, registryOf(lab, site.name).name).admin("registry")}`;
  if (registry === undefined) return "unix:///run/isthmus/registry-admin.sock";
  if (/^[/:]|:\/\//.test(registry)) return socketUrl(registry);
  throw usage(
    `--registry takes unix:///PATH or a site of the lab (${sites.map(({ name }) => name).join(", ") || "there is none"}), got "${registry}"`,
  );
}

/** The pod that the options name, as nsmgr wants it. Exactly one of --pod, --netns and --pid. */
export function podOf(options: GlobalOptions & PodOptions): PodReference {
  const labels = parseLabels(options.podLabel ?? [], "--pod-label");
  return { ...placeOf(options), labels };
}

/** Where the pod is that the options name; `flag` is the one for a lab's pod. */
export function placeOf(
  options: GlobalOptions & { readonly [key in "pod" | "netns" | "pid"]?: string | undefined },
  flag = "--pod",
): { readonly name: string; readonly netnsUrl: string } {
  const given = [options.pod, options.netns, options.pid].filter((one) => one !== undefined);
  if (given.length !== 1) throw usage(`name the pod with one of ${flag} NAME, --netns PATH or --pid N`);
  if (options.pod !== undefined) return labPod(options, options.pod);
  if (options.pid === undefined) return { name: "", netnsUrl: netnsUrl(options.netns ?? "") };
  if (!/^[1-9]\d{0,9}$/.test(options.pid)) throw usage(`--pid takes the number of a process, got "${options.pid}"`);
  return { name: "", netnsUrl: netnsUrl(`/proc/${options.pid}/ns/net`) };
}

/** The node that a lab's pod is on, for commands that name no node. */
export function nodeOfPod(name: string | undefined): (lab: LabRecord) => string | undefined {
  return (lab) => lab.pods.find((pod) => pod.name === name)?.node;
}

function labPod(options: GlobalOptions, name: string): { readonly name: string; readonly netnsUrl: string } {
  const lab = readLab(options.prefix);
  const pod = lab?.pods.find((one) => one.name === name);
  if (lab === undefined || pod === undefined) {
    const there = lab?.pods.map((one) => one.name).join(", ") || "none";
    throw new MeshError(
      "not-found",
      `no pod ${name} in the lab ${options.prefix} (its pods: ${there}); outside a lab use --netns or --pid`,
    );
  }
  if (options.node !== undefined && options.node !== pod.node)
    throw new MeshError("not-found", `pod ${name} is on ${pod.node}, not on ${options.node}; say --node ${pod.node}, or leave it out`);
  return { name, netnsUrl: `file:///run/netns/${podNamespace(options.prefix, name)}` };
}

function inLab(lab: LabRecord, name: string): Target {
  if (lab.nodes.every((node) => node.name !== name))
    throw new MeshError(
      "not-found",
      `no node ${name} in the lab ${lab.prefix}; its nodes: ${lab.nodes.map((node) => node.name).join(", ")}`,
    );
  return { url: `unix://${nodeFiles(lab.prefix, name).nodeSocket}`, node: name };
}

function socketUrl(text: string): string {
  const url = text.startsWith("/") ? `unix://${text}` : text;
  parseUrl(url);
  return url;
}
