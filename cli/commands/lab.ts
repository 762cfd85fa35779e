import { type Command, Option } from "commander";
import { command, optionsOf, type Shell } from "../command.js";
import type { GlobalOptions } from "../context.js";
import { usage } from "../errors.js";
import { parsePrefix, parseSites } from "../lab/layout.js";
import { withNat } from "../lab/nat.js";
import type { LabRecord } from "../lab/record.js";
import type { LabStatus } from "../lab/status.js";
import { parseStores, type StoreWish, storeNames } from "../lab/stores.js";
import { type Format, outputOption, print } from "../output.js";
import { withProgress } from "../progress.js";
import { table } from "../table.js";

interface UpOptions extends GlobalOptions {
  readonly sites: string;
  readonly underlay: "4" | "6";
  readonly nat?: string;
  readonly allowPlain?: true;
  readonly store: StoreWish["store"];
  readonly etcdMembers?: string;
  readonly registries?: string;
}

/** `lab …`. The lab's code is loaded by the command that runs, since it brings the kernel with it. */
export function labCommand(shell: Shell): Command {
  return command("lab", "a whole multisite world on this machine, made of network namespaces; needs root", [
    "nsmctl lab up --sites paris=2,tokyo=1",
  ])
    .addCommand(upCommand(shell))
    .addCommand(statusCommand(shell))
    .addCommand(podCommand(shell))
    .addCommand(execCommand(shell))
    .addCommand(faultCommand(shell, "kill", "end programs with SIGKILL, as a crash would", "killed"))
    .addCommand(faultCommand(shell, "stop", "end programs with SIGTERM", "stopped"))
    .addCommand(faultCommand(shell, "start", "start programs that do not run, and wait until they are healthy", "running"))
    .addCommand(downCommand(shell));
}

function upCommand({ context }: Shell): Command {
  return command("up", "raise a lab; returns when all of its programs are healthy", [
    "nsmctl lab up",
    "nsmctl lab up --sites paris=2,tokyo=1,lima=1 --prefix mine --underlay 6",
    "nsmctl lab up --sites paris=3,tokyo=1 --store etcd --etcd-members 3 --registries 2",
    "nsmctl lab up --nat tokyo=closed",
  ])
    .option("--sites <name=nodes,…>", "the sites and how many nodes each has", "paris=2,tokyo=1")
    .addOption(new Option("--underlay <family>", "what the WAN speaks: IPv4 or IPv6").choices(["4", "6"]).default("4"))
    .option(
      "--nat <site[=what],…>",
      "sites behind a router that translates addresses, and what it lets in: open, control (no tunnels) or closed",
    )
    .option("--allow-plain", "let every node take plaintext VXLAN")
    .addOption(new Option("--store <kind>", "where the registries keep their data").choices(storeNames).default("lmdb"))
    .option("--etcd-members <n>", "how many processes each site's etcd has, on its nodes in turn: 1, 3 or 5 (1)")
    .option("--registries <n>", "how many registries each site has in its etcd, at most one a node (1)")
    .action(async (_options: unknown, self: Command) => {
      const options = optionsOf<UpOptions>(self);
      const { store, ...each } = parseStores(options);
      const sites = parseSites(options.sites).map((site) => ({ ...site, ...each }));
      const wish = {
        prefix: parsePrefix(options.prefix),
        sites: options.nat === undefined ? sites : withNat(sites, options.nat),
        store,
        underlay: options.underlay === "6" ? (6 as const) : (4 as const),
        allowPlain: options.allowPlain === true,
      };
      const { raiseLab } = await import("../lab/up.js");
      const lab = await withProgress(context, "raising the lab", (step) => raiseLab(context, wish, step));
      context.out(`${raised(lab)}\n`);
    });
}

function raised(lab: LabRecord): string {
  const prefix = lab.prefix === "nsm" ? "" : ` --prefix ${lab.prefix}`;
  const node = lab.nodes[0]?.name ?? "";
  return [
    `the lab ${lab.prefix} is up: ${lab.nodes.map(({ name }) => name).join(", ")}`,
    `next: nsmctl lab pod add client --node ${node}${prefix}`,
  ].join("\n");
}

function statusCommand({ context }: Shell): Command {
  return command("status", "show nodes, programs, pods, sockets and log files", ["nsmctl lab status", "nsmctl lab status -o json"])
    .addOption(outputOption())
    .action(async (_options: unknown, self: Command) => {
      const options = optionsOf<GlobalOptions & { readonly output: Format }>(self);
      const { labStatus } = await import("../lab/status.js");
      await print(context, options.output, await labStatus(context, parsePrefix(options.prefix)), statusText);
    });
}

function statusText(status: LabStatus): string {
  const parts = [
    table(
      ["site", "registries", "trust domain", "nat", "joined with"],
      status.sites.map(({ name, registries, trustDomain, nat, joined }) => ({
        ...{ site: name, registries: registries.join(", "), "trust domain": trustDomain, nat },
        "joined with": Object.entries(joined)
          .map(([other, state]) => `${other} (${state})`)
          .join(", "),
      })),
    ),
    table(
      ["node", "site", "namespace", "address", "socket"],
      status.nodes.map((node) => ({ ...node, node: node.name })),
    ),
    table(
      ["node", "program", "pid", "state", "log"],
      status.programs.map((program) => ({ ...program })),
    ),
  ];
  if (status.pods.length > 0)
    parts.push(
      table(
        ["pod", "node", "namespace"],
        status.pods.map((pod) => ({ ...pod, pod: pod.name })),
      ),
    );
  return parts.join("\n\n");
}

function podCommand(shell: Shell): Command {
  return command("pod", "add and remove pods", [
    "nsmctl lab pod add client --node paris-1",
    "nsmctl lab pod add one two three --node paris-1",
  ])
    .addCommand(podAddCommand(shell))
    .addCommand(podRemoveCommand(shell));
}

function podAddCommand({ context }: Shell): Command {
  return command("add", "make pods beside a node", [
    "nsmctl lab pod add client --node paris-1",
    "nsmctl lab pod add one two three --node paris-1",
  ])
    .argument("<name...>", "the pods' names; the namespace of each is PREFIX-pod-NAME")
    .action(async (names: string[], _options: unknown, self: Command) => {
      const { prefix, node } = optionsOf(self);
      if (node === undefined) throw usage("say beside which node the pod is to be: --node NAME");
      const { addPod } = await import("../lab/pods.js");
      for (const name of names) {
        const pod = await addPod(parsePrefix(prefix), name, node, context.clock);
        context.out(`pod ${pod.name} is on ${pod.node}, in namespace ${pod.namespace}\n`);
      }
    });
}

function podRemoveCommand({ context }: Shell): Command {
  return command("remove", "end what runs in pods and take them away", ["nsmctl lab pod remove client"])
    .argument("<name...>", "the pods' names")
    .action(async (names: string[], _options: unknown, self: Command) => {
      const { removePod } = await import("../lab/pods.js");
      for (const name of names) await removePod(parsePrefix(optionsOf(self).prefix), name, context.clock);
    });
}

function execCommand({ context, exit }: Shell): Command {
  return command("exec", "run a command in the namespace of a node or a pod; ends with the command's exit code", [
    "nsmctl lab exec client -- ping -c 3 172.16.1.0",
    "nsmctl lab exec paris-1 -- ip -br address",
    "nsmctl lab exec paris-1/mesh -- ip -d link",
  ])
    .argument("<node|pod>", "a node, a pod, NODE/mesh, NODE/SEGMENT, or wan")
    .argument("<command...>", "the command, after --")
    .action(async (where: string, words: string[], _options: unknown, self: Command) => {
      const { execIn } = await import("../lab/exec.js");
      exit(await execIn(context, parsePrefix(optionsOf(self).prefix), where, words));
    });
}

function faultCommand({ context }: Shell, verb: "kill" | "stop" | "start", description: string, done: string): Command {
  return command(verb, description, [
    `nsmctl lab ${verb} paris-1/forwarder`,
    `nsmctl lab ${verb} paris`,
    `nsmctl lab ${verb} paris/etcd`,
    `nsmctl lab ${verb}`,
  ])
    .argument(
      "[node|site|node/program]",
      "a node's nsmgr and forwarder, a site's registries (SITE/etcd: its etcd), or one program; left out: all of ours",
    )
    .action(async (text: string | undefined, _options: unknown, self: Command) => {
      const faults = await import("../lab/faults.js");
      const prefix = parsePrefix(optionsOf(self).prefix);
      const act = { kill: faults.killTargets, stop: faults.stopTargets, start: faults.startTargets }[verb];
      const targets = await withProgress(context, `lab ${verb}`, (step) => act(context, prefix, text, step));
      context.out(`${targets.map(({ node, program }) => `${program} of ${node}`).join(", ")}: ${done}\n`);
    });
}

function downCommand({ context }: Shell): Command {
  return command("down", "take the lab down and leave nothing of it; fine to call twice", ["nsmctl lab down"]).action(
    async (_options: unknown, self: Command) => {
      const { downLab } = await import("../lab/down.js");
      const prefix = parsePrefix(optionsOf(self).prefix);
      const was = await withProgress(context, "taking the lab down", () => downLab(prefix, context.clock));
      context.out(was ? `the lab ${prefix} is down\n` : `there is no lab ${prefix}; nothing to do\n`);
    },
  );
}
