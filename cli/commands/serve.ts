import { type Command, Option } from "commander";
import type { ServedEndpoint } from "../../api/gen/isthmus/v1/node.js";
import { MeshError } from "../../core/error.js";
import type { NodeClient } from "../../rpc/node.js";
import { parseCidrs, parseLabels, parseName } from "../check.js";
import { command, optionsOf, type Shell, several } from "../command.js";
import type { GlobalOptions } from "../context.js";
import { type Format, outputOption, print } from "../output.js";
import { withProgress } from "../progress.js";
import { withNode } from "../session.js";
import { nodeOfPod, type PodOptions, podOf, targetOf } from "../target.js";
import { servedView } from "../view.js";
import { withPodOptions } from "./pod.js";

interface ServeOptions extends GlobalOptions, PodOptions {
  readonly cidr: string;
  readonly payload: "ip" | "ethernet";
  readonly label?: string[];
  readonly name?: string;
  readonly detach?: true;
  readonly output: Format;
}

/** `serve SERVICE`. */
export function serveCommand(shell: Shell): Command {
  const made = command("serve", "serve a network service from a pod; ends with this command unless --detach is given", [
    "nsmctl --node tokyo-1 serve icmp --pod server --cidr 172.16.1.0/24,2001:db8:1::/112 --detach",
    "nsmctl --node tokyo-1 serve wire --pod server --cidr 172.16.2.0/24 --payload ethernet --label quality=high",
  ]).argument("<service>", "the network service's name");
  return withPodOptions(made)
    .requiredOption("--cidr <prefix[,prefix]>", "where both ends of a connection get their addresses from, one per family")
    .addOption(new Option("--payload <kind>", "what the service carries").choices(["ip", "ethernet"]).default("ip"))
    .option("--label <key=value>", "a label of the endpoint; may be given several times", several)
    .option("--name <name>", "the endpoint's name (default: made from service and pod)")
    .option("--detach", "let the node go on serving when this command ends; `nsmctl unserve NAME` ends it")
    .addOption(outputOption())
    .action(async (service: string, _options: unknown, self: Command) => serve(shell, service, optionsOf<ServeOptions>(self)));
}

/** `unserve NAME…`. */
export function unserveCommand(shell: Shell): Command {
  return command("unserve", "end endpoints that the node serves", ["nsmctl --node tokyo-1 unserve icmp-server"])
    .argument("<name...>", "names of endpoints, see `nsmctl get endpoints`")
    .action(async (names: string[], _options: unknown, self: Command) => {
      const { clock, signal } = shell.context;
      await withNode(clock, targetOf(shell.context, optionsOf(self)).url, async (node) => {
        for (const name of names) await node.unserve({ name }, signal);
      });
    });
}

async function serve({ context }: Shell, service: string, options: ServeOptions): Promise<void> {
  const asked = {
    networkService: parseName("a service's name", service),
    cidrs: parseCidrs(options.cidr),
    payload: options.payload.toUpperCase(),
    labels: parseLabels(options.label ?? []),
    detach: options.detach === true,
    name: options.name === undefined ? "" : parseName("--name", options.name),
    pod: podOf(options),
  };
  const { url } = targetOf(context, options, nodeOfPod(options.pod));
  await withNode(context.clock, url, async (node) => {
    const events = node.serve(asked, context.signal)[Symbol.asyncIterator]();
    const served = await withProgress(context, `registering ${service}`, () => first(events));
    await print(context, options.output, servedView(served), (view) => `${view.pod || "the pod"} serves ${view.service} as ${view.name}`);
    if (!asked.detach) await untilInterrupted(events, context.signal);
  });
}

type Events = ReturnType<ReturnType<NodeClient["serve"]>[typeof Symbol.asyncIterator]>;

async function first(events: Events): Promise<ServedEndpoint> {
  const event = await events.next();
  if (event.done === true) throw new MeshError("cancelled", "nsmgr ended the stream before the endpoint was registered");
  return event.value;
}

// Ctrl-C is how this ends well; that nsmgr goes away is how it does not.
async function untilInterrupted(events: Events, signal: AbortSignal): Promise<void> {
  try {
    while ((await events.next()).done !== true);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  if (!signal.aborted) throw new MeshError("unreachable", "nsmgr ended the endpoint; see its log, then serve again");
}
