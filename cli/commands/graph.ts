import { type Command, Option } from "commander";
import { parseName } from "../check.js";
import { command, optionsOf, type Shell } from "../command.js";
import type { Context, GlobalOptions } from "../context.js";
import { readLab } from "../lab/record.js";
import { withProgress } from "../progress.js";
import { graphOf, type Known } from "../segment/graph.js";
import { mermaid } from "../segment/mermaid.js";
import { mustBeThere } from "../segment/there.js";
import { withNode } from "../session.js";
import { targetOf } from "../target.js";

interface GraphOptions extends GlobalOptions {
  readonly segment?: string;
  readonly output: "mermaid" | "json";
}

/** `graph`. */
export function graphCommand({ context }: Shell): Command {
  return command("graph", "draw sites, nodes, members of segments, and what joins them", [
    "nsmctl graph",
    "nsmctl graph --segment plant -o json",
  ])
    .option("--segment <name>", "only this segment (default: all, and the connections)")
    .addOption(new Option("-o, --output <format>", "a Mermaid flowchart, or its parts").choices(["mermaid", "json"]).default("mermaid"))
    .action(async (_options: unknown, self: Command) => {
      const { segment, ...options } = optionsOf<GraphOptions>(self);
      if (segment !== undefined) parseName("--segment", segment);
      const graph = graphOf(await withProgress(context, "asking for what is joined", () => known(context, options, segment)), segment);
      context.out(`${options.output === "json" ? JSON.stringify(graph, undefined, 2) : mermaid(graph)}\n`);
    });
}

/** A node knows its own site, and the connections that pass it: in a lab all of its nodes are asked, unless one is named. */
async function known(context: Context, options: GlobalOptions, segment: string | undefined): Promise<Known> {
  const { url, node } = targetOf(context, options, (lab) => lab.nodes[0]?.name);
  const lab = options.node === undefined && node !== undefined ? readLab(options.prefix) : undefined;
  // The first has to answer; of the others the picture has what is there.
  const others = (lab?.nodes ?? [])
    .filter(({ name }) => name !== node)
    .map(({ name }) => targetOf(context, { ...options, node: name }).url);
  const told = await Promise.all([ask(context, url, segment), ...others.map((other) => ask(context, other).catch(() => nothing))]);
  return {
    nodes: told.flatMap(({ nodes }) => nodes),
    endpoints: told.flatMap(({ endpoints }) => endpoints),
    connections: told.flatMap(({ connections }) => connections),
  };
}

const nothing: Known = { nodes: [], endpoints: [], connections: [] };

function ask({ clock, signal }: Context, url: string, segment?: string): Promise<Known> {
  return withNode(clock, url, async (node) => {
    const [nodes, endpoints, connections] = await Promise.all([
      node.listNodes(signal),
      node.listEndpoints(signal),
      node.listConnections(signal),
      segment === undefined ? undefined : mustBeThere(node, segment, signal),
    ]);
    return { nodes, endpoints, connections };
  });
}
