import { isIP } from "node:net";
import type { Command } from "commander";
import { MeshError } from "../../core/error.js";
import { command, optionsOf, type Shell } from "../command.js";
import type { Context, GlobalOptions } from "../context.js";
import { usage } from "../errors.js";
import { withProgress } from "../progress.js";
import { type MemberView, rosterOf, segmentsOf } from "../segment/roster.js";
import { withNode } from "../session.js";
import { nodeOfPod, placeOf, targetOf } from "../target.js";

interface PingOptions extends GlobalOptions {
  readonly from?: string;
  readonly netns?: string;
  readonly pid?: string;
  readonly segment?: string;
  readonly count: string;
}

/** `ping MEMBER|IP`. */
export function pingCommand({ context, exit }: Shell): Command {
  return command("ping", "ping a member of a segment from a pod; ends with the exit code of ping", [
    "nsmctl ping camera --from viewer",
    "nsmctl ping 10.60.0.5 --from viewer --count 1",
    "nsmctl --connect-to unix:///run/isthmus/node.sock ping camera --netns /run/netns/viewer --segment plant",
  ])
    .argument("<member|address>", "a member's name, see `nsmctl get members`, or an address")
    .option("--from <pod>", "the pod of the lab that pings")
    .option("--netns <path>", "the network namespace of the pod that pings, such as /run/netns/NAME")
    .option("--pid <n>", "a process of the pod that pings")
    .option("--segment <name>", "the segment in which the member is (default: the only one that has such a member)")
    .option("--count <n>", "how often", "5")
    .action(async (whom: string, _options: unknown, self: Command) => {
      const options = optionsOf<PingOptions>(self);
      if (!/^[1-9]\d{0,4}$/.test(options.count)) throw usage(`--count takes a number from 1 to 99999, got "${options.count}"`);
      const { netnsUrl } = placeOf({ ...options, pod: options.from }, "--from");
      const address = isIP(whom) > 0 ? whom : await addressOf(context, options, whom);
      const { execAt } = await import("../lab/exec.js");
      exit(await execAt(context, netnsUrl.replace("file://", ""), ["ping", "-n", "-c", options.count, address]));
    });
}

async function addressOf(context: Context, options: PingOptions, name: string): Promise<string> {
  const { url } = targetOf(context, options, (lab) => nodeOfPod(options.from)(lab) ?? lab.nodes[0]?.name);
  const endpoints = await withProgress(context, `looking for ${name}`, () =>
    withNode(context.clock, url, (node) => node.listEndpoints(context.signal)),
  );
  const segments = options.segment === undefined ? segmentsOf(endpoints) : [options.segment];
  const members = segments.flatMap((segment) => rosterOf(endpoints, segment).members);
  return pick(members, name, segments);
}

/** The first address of the member of that name. What another node tells is only used where it is an address. */
export function pick(members: readonly MemberView[], name: string, segments: readonly string[]): string {
  const [member, ...more] = members.filter((one) => one.name === name);
  if (member === undefined) {
    const names = members.map((one) => one.name);
    const there = names.length === 0 ? "nobody is there" : `there are: ${names.join(", ")}`;
    throw new MeshError("not-found", `no member ${name} in ${segments.length === 0 ? "any segment" : segments.join(", ")}; ${there}`);
  }
  if (more.length > 0)
    throw new MeshError(
      "not-found",
      `${[member, ...more].map((one) => one.segment).join(" and ")} have a member ${name}; say which with --segment`,
    );
  const address = member.addresses.find((text) => isIP(text) > 0);
  if (address === undefined) throw new MeshError("not-found", `the member ${name} of ${member.segment} has no address`);
  return address;
}
