import { type Command, Option } from "commander";
import { timeLimit } from "../../rpc/signals.js";
import { parseDuration, parseInterface, parseLabels, parseName } from "../check.js";
import { command, optionsOf, type Shell, several } from "../command.js";
import type { GlobalOptions } from "../context.js";
import { type Format, outputOption, print } from "../output.js";
import { withProgress } from "../progress.js";
import { withNode } from "../session.js";
import { nodeOfPod, type PodOptions, podOf, targetOf } from "../target.js";
import { attachmentView, type ConnectionView } from "../view.js";
import { withPodOptions } from "./pod.js";

interface RequestOptions extends GlobalOptions, PodOptions {
  readonly interface?: string;
  readonly label?: string[];
  readonly mechanism: string;
  readonly endpoint?: string;
  readonly timeout: string;
  readonly output: Format;
}

// The node answers a little after its own deadline; longer than that it is not there.
const answerGraceMs = 5_000;

/** `request-connection SERVICE`. */
export function requestCommand(shell: Shell): Command {
  const made = command("request-connection", "ask for a network service on behalf of a pod; the node keeps the connection", [
    "nsmctl --node paris-1 request-connection icmp --pod client",
    "nsmctl --connect-to unix:///run/isthmus/node.sock request-connection icmp --netns /run/netns/web --interface nsm0",
  ]).argument("<service>", "the network service's name");
  return withPodOptions(made)
    .option("--interface <name>", "the interface's name in the pod (default: the first free nsmN)")
    .option("--label <key=value>", "a label of the client, for the service's matches; may be given several times", several)
    .addOption(
      new Option("--mechanism <name>", "what carries the packets between nodes")
        .choices(["auto", "node-tunnel", "wireguard", "vxlan"])
        .default("auto"),
    )
    .option("--endpoint <name>", "only this endpoint")
    .option("--timeout <duration>", "how long to wait", "15s")
    .addOption(outputOption())
    .action(async (service: string, _options: unknown, self: Command) => request(shell, service, optionsOf<RequestOptions>(self)));
}

/** `close-connection ID…`. */
export function closeCommand(shell: Shell): Command {
  return command("close-connection", "close connections that this node keeps, at every hop", [
    "nsmctl --node paris-1 close-connection 0b1d7c1e-5f0a-4c33-9f5e-2f7a0c6f4a11",
  ])
    .argument("<id...>", "ids of attachments, see `nsmctl get attachments`")
    .action(async (ids: string[], _options: unknown, self: Command) => {
      const { url } = targetOf(shell.context, optionsOf(self));
      const { clock, signal } = shell.context;
      await withProgress(shell.context, "closing", () =>
        withNode(clock, url, async (node) => {
          for (const id of ids) await node.detach({ id }, signal);
        }),
      );
    });
}

async function request({ context }: Shell, service: string, options: RequestOptions): Promise<void> {
  const timeoutMs = parseDuration("--timeout", options.timeout);
  const asked = {
    networkService: parseName("a service's name", service),
    interface: options.interface === undefined ? "" : parseInterface(options.interface),
    labels: parseLabels(options.label ?? []),
    mechanism: options.mechanism,
    endpoint: options.endpoint === undefined ? "" : parseName("--endpoint", options.endpoint),
    pod: podOf(options),
    timeoutMs,
  };
  const { url } = targetOf(context, options, nodeOfPod(options.pod));
  using limit = timeLimit(context.clock, timeoutMs + answerGraceMs, context.signal);
  const attachment = await withProgress(context, `asking for ${service}`, () =>
    withNode(context.clock, url, (node) => node.attach(asked, limit.signal)),
  );
  await print(context, options.output, attachmentView(attachment), describe);
}

function describe(view: ConnectionView): string {
  return [
    `${view.interface} is connected to ${view.service} at ${view.endpoint}`,
    `  id         ${view.id}`,
    `  addresses  ${view.addresses.join(" ") || "-"}  peer ${view.peerAddresses.join(" ") || "-"}`,
    `  carried by ${view.mechanism}, ${secrecy(view)}, payload ${view.payload}, MTU ${view.mtu}`,
    `  path       ${view.path.map(({ name }) => name).join(" > ")}`,
    `  took       ${view.establishedMs} ms`,
  ].join("\n");
}

function secrecy(view: ConnectionView): string {
  if (view.mechanism === "kernel") return "within the node";
  return view.encrypted ? "encrypted" : "NOT encrypted";
}
