import { type Command, Option } from "commander";
import { checkWishes } from "../../core/segment/wishes.js";
import { timeLimit } from "../../rpc/signals.js";
import { parseCidr, parseDuration, parseInterface, parseIp, parseLabels, parseName } from "../check.js";
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
  readonly ip?: string[];
  readonly sticky?: string;
  readonly announce?: string[];
  readonly service?: string[];
  readonly allowSpoofing?: true;
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
    "nsmctl --node paris-1 request-connection plant --pod camera --ip 10.60.0.5 --service rtsp:554/tcp",
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
    .option("--ip <address>", "an address that the pod wants to have; may be given several times", several)
    .option("--sticky <name>", "in a segment: who joins by this name again has the same addresses")
    .option("--announce <prefix>", "in a segment: a network behind the pod; may be given several times", several)
    .option("--service <name[:port/tcp]>", "in a segment: what the pod serves, for DNS; may be given several times", several)
    .option("--allow-spoofing", "in a segment that allows it: let the pod send from addresses that are not its own")
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
    ...wishesOf(options),
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

function wishesOf({ ip = [], sticky = "", announce = [], service = [], allowSpoofing }: RequestOptions) {
  const ips = ip.map((word) => parseIp(word, "--ip"));
  const announces = announce.map((word) => parseCidr(word, "--announce"));
  const spoofing = allowSpoofing === true;
  checkWishes({ addresses: ips, sticky, announces, services: service, spoofing });
  return { ips, sticky, announces, services: service, allowSpoofing: spoofing };
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
