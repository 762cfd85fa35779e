import { Argument, type Command } from "commander";
import type { NodeClient } from "../../rpc/node.js";
import { timeLimit } from "../../rpc/signals.js";
import { command, optionsOf, type Shell } from "../command.js";
import { complete, scripts } from "../completion.js";
import type { Context, GlobalOptions } from "../context.js";
import { type LabRecord, readLab } from "../lab/record.js";
import { rosterOf, segmentsOf } from "../segment/roster.js";
import { withNode, withSite } from "../session.js";
import { registryTarget, targetOf } from "../target.js";

const answerWithinMs = 1_000;

/** `completion SHELL`. */
export function completionCommand({ context }: Shell): Command {
  return command("completion", "print what makes a shell complete nsmctl's words", [
    "source <(nsmctl completion bash)",
    "source <(nsmctl completion zsh)",
    "nsmctl completion fish | source",
  ])
    .addArgument(new Argument("<shell>", "which shell").choices(Object.keys(scripts)))
    .action((shell: string) => context.out(scripts[shell] ?? ""));
}

/** `__complete -- WORDS…`, which those scripts call. Prints candidates, one a line, and never fails. */
export function completeCommand({ context }: Shell): Command {
  return command("__complete", "candidates for the last word", ["nsmctl __complete -- get ''"])
    .argument("[words...]", "the line so far")
    .action(async (words: string[], _options: unknown, self: Command) => {
      const root = self.parent ?? self;
      const options = { ...optionsOf<GlobalOptions>(self), ...given(words) };
      const lab = readLabQuietly(options.prefix);
      const found = await complete(root, words, {
        nodes: () => lab?.nodes.map(({ name }) => name) ?? [],
        pods: () => lab?.pods.map(({ name }) => name) ?? [],
        services: () => services(context, options),
        segments: () => segments(context, options),
        members: () => members(context, options, segmentIn(words)),
      });
      context.out(found.map((word) => `${word}\n`).join(""));
    });
}

// What the line itself says about where to look.
function given(words: readonly string[]): Partial<GlobalOptions> {
  const after = (flag: string) => words.slice(0, -1)[words.indexOf(flag) + 1];
  const has = (flag: string) => words.slice(0, -2).includes(flag);
  return {
    ...(has("--prefix") && { prefix: after("--prefix") ?? "nsm" }),
    ...(has("--node") && { node: after("--node") ?? "" }),
    ...(has("--connect-to") && { connectTo: after("--connect-to") ?? "" }),
  };
}

function segmentIn(words: readonly string[]): string | undefined {
  const at = words.slice(0, -1).indexOf("--segment");
  return at < 0 ? undefined : words[at + 1];
}

function readLabQuietly(prefix: string): LabRecord | undefined {
  try {
    return readLab(prefix);
  } catch {
    return undefined;
  }
}

async function services(context: Context, options: GlobalOptions): Promise<string[]> {
  const found = await ofNode(context, options, (node, signal) => node.listServices(signal));
  return found.map(({ name }) => name);
}

async function members(context: Context, options: GlobalOptions, segment: string | undefined): Promise<string[]> {
  const endpoints = await ofNode(context, options, (node, signal) => node.listEndpoints(signal));
  const of = segment === undefined ? segmentsOf(endpoints) : [segment];
  return of.flatMap((one) => rosterOf(endpoints, one).members.map(({ name }) => name));
}

async function ofNode<T>(
  context: Context,
  options: GlobalOptions,
  ask: (node: NodeClient, signal: AbortSignal) => Promise<readonly T[]>,
): Promise<readonly T[]> {
  try {
    const { url } = targetOf(context, options, (lab) => lab.nodes[0]?.name);
    using limit = timeLimit(context.clock, answerWithinMs, context.signal);
    return await withNode(context.clock, url, (node) => ask(node, limit.signal));
  } catch {
    return [];
  }
}

async function segments(context: Context, options: GlobalOptions): Promise<string[]> {
  try {
    using limit = timeLimit(context.clock, answerWithinMs, context.signal);
    const found = await withSite(context.clock, registryTarget(options), (registry) => registry.segments.list(limit.signal));
    return found.map(({ name }) => name);
  } catch {
    return [];
  }
}
