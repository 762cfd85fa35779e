import { type Command, Option } from "commander";
import { Segment } from "../../api/gen/isthmus/v1/segment.js";
import { parseCidrs, parseLabels, parseName } from "../check.js";
import { command, optionsOf, type Shell, several } from "../command.js";
import type { Context, GlobalOptions } from "../context.js";
import { usage } from "../errors.js";
import { withProgress } from "../progress.js";
import { parseAllow } from "../segment/allow.js";
import { segmentView, segmentWords } from "../segment/view.js";
import { withSite } from "../session.js";
import { registryOption, registryTarget } from "../target.js";

interface RegistryOptions extends GlobalOptions {
  readonly registry?: string;
}

interface ApplyOptions extends RegistryOptions {
  readonly file: string;
}

interface CreateOptions extends RegistryOptions {
  readonly layer: string;
  readonly prefixes?: string;
  readonly sites?: string;
  readonly mtu: string;
  readonly dnsDomain?: string;
  readonly allowLabel?: string[];
  readonly allow?: string[];
  readonly exclude?: string[];
  readonly floodUnknown?: true;
  readonly allowSpoofing?: true;
}

interface DeleteOptions extends RegistryOptions {
  readonly force?: true;
}

const layerWords = "l3: pods reach one another by addresses, through routers; l2: by frames, as on one switch";

/** `apply -f FILE`. */
export function applyCommand({ context }: Shell): Command {
  return command("apply", "make or change the segments of a file; run it where the registry is", [
    "nsmctl apply -f examples/segment.yaml",
    "nsmctl apply -f - --registry paris < segments.yaml",
  ])
    .requiredOption("-f, --file <path>", "YAML, one document a segment; - is standard input")
    .option("--registry <url|site>", registryOption)
    .action(async (_options: unknown, self: Command) => {
      const options = optionsOf<ApplyOptions>(self);
      const where = options.file === "-" ? "standard input" : options.file;
      const { parseSegments, readSegments } = await import("../segment/file.js");
      await apply(context, options, parseSegments(readSegments(options.file), where));
    });
}

/** `create …`. */
export function createCommand(shell: Shell): Command {
  const example = "nsmctl create segment plant --layer l3 --prefix 10.60.0.0/16,fd60::/48 --sites paris,tokyo";
  return command("create", "make something in the site", [example]).addCommand(createSegmentCommand(shell, example));
}

/** `delete …`. */
export function deleteCommand(shell: Shell): Command {
  return command("delete", "end something in the site", ["nsmctl delete segment plant"])
    .addCommand(deleteSegmentCommand(shell))
    .addCommand(deleteBlocksCommand(shell));
}

function createSegmentCommand({ context }: Shell, example: string): Command {
  return command("segment", "make a multipoint network that pods join by its name; run it where the registry is", [
    `${example} --dns-domain plant.mesh`,
    "nsmctl create segment floor --layer l2 --prefix 10.70.0.0/16 --allow-label role=sensor --exclude 10.70.0.0/28",
  ])
    .argument("<name>", "the segment's name, a DNS label; pods ask for it by `nsmctl request-connection NAME`")
    .addOption(new Option("--layer <layer>", layerWords).choices(["l2", "l3"]).makeOptionMandatory())
    .option("--prefix <prefix[,prefix]>", "its addresses, at most one prefix of each family")
    .option("--sites <site,…>", "the sites that take part, this one among them (default: this one alone)")
    .option("--mtu <bytes|auto>", "what it carries; auto: the least that all ways between its nodes carry", "auto")
    .option("--dns-domain <domain>", "its members are found as MEMBER.NAME.DOMAIN (default: they have no names)")
    .option("--allow-label <key=value>", "a label that a client must have to join; may be given several times", several)
    .option(
      "--allow <rule>",
      'who may begin what to whom, as "role=hmi -> role=plc: 502/tcp"; may be given several times (default: all may)',
      several,
    )
    .option("--exclude <address|prefix>", "never given by itself; may be given several times", several)
    .option("--flood-unknown", "l2: frames to a MAC address that nobody has been told of go to all")
    .option("--allow-spoofing", "l2: members may ask to send with any source address, because they bridge for others")
    .option("--registry <url|site>", registryOption)
    .action(async (name: string, _options: unknown, self: Command) => {
      const options = optionsOf<CreateOptions>(self);
      await apply(context, options, [segmentOf(name, options)]);
    });
}

function deleteSegmentCommand({ context }: Shell): Command {
  return command("segment", "end a segment; run it where the registry is", [
    "nsmctl delete segment plant",
    "nsmctl delete segment plant --force",
  ])
    .argument("<segment>", "the segment's name")
    .option("--force", "also when it has members, which are cut off")
    .option("--registry <url|site>", registryOption)
    .action(async (name: string, _options: unknown, self: Command) => {
      const options = optionsOf<DeleteOptions>(self);
      const request = { name: parseName("a segment's name", name), force: options.force === true };
      await withProgress(context, `deleting ${name}`, () =>
        withSite(context.clock, registryTarget(options), ({ segments }) => segments.delete(request, context.signal)),
      );
      context.out(`the segment ${name} is deleted\n`);
    });
}

function deleteBlocksCommand({ context }: Shell): Command {
  return command("blocks", "take back the addresses that a node has which is gone for good; run it where the registry is", [
    "nsmctl get blocks plant",
    "nsmctl delete blocks plant paris-2",
  ])
    .argument("<segment>", "the segment's name")
    .argument("<node>", "the node's name, or the SPIFFE id of its nsmgr or forwarder")
    .option(
      "--force",
      "also when it is registered still; one that is there asks for them again, and its members end in those that others got",
    )
    .option("--registry <url|site>", registryOption)
    .action(async (name: string, node: string, _options: unknown, self: Command) => {
      const options = optionsOf<DeleteOptions>(self);
      const request = { segment: parseName("a segment's name", name), node, force: options.force === true };
      const released = await withProgress(context, `releasing the blocks of ${node}`, () =>
        withSite(context.clock, registryTarget(options), ({ segments }) => segments.releaseBlocks(request, context.signal)),
      );
      context.out(`${released.map(({ prefix }) => prefix).join(", ")} of the segment ${name} can be given to others\n`);
    });
}

/** What the options say; what a segment may be its registry says. */
function segmentOf(name: string, options: CreateOptions): Segment {
  const { prefixes, sites, mtu, dnsDomain = "", allowLabel = [], allow = [], exclude = [], floodUnknown, allowSpoofing } = options;
  if (mtu !== "auto" && !/^[1-9]\d{0,4}$/.test(mtu)) throw usage(`--mtu takes auto or a number of bytes such as 1400, got "${mtu}"`);
  return Segment.fromPartial({
    ...{ name: parseName("a segment's name", name), layer: options.layer, dnsDomain, exclude },
    prefixes: prefixes === undefined ? [] : parseCidrs(prefixes, "--prefix"),
    sites: sites === undefined ? [] : sites.split(",").map((site) => parseName("a site's name", site.trim())),
    mtu: mtu === "auto" ? 0 : Number(mtu),
    allowLabels: parseLabels(allowLabel, "--allow-label"),
    policy: allow.map(parseAllow),
    floodUnknown: floodUnknown === true,
    allowSpoofing: allowSpoofing === true,
  });
}

/** One after the other; what was applied before one fails stays so, and was said. */
async function apply(context: Context, options: RegistryOptions, wanted: readonly Segment[]): Promise<void> {
  await withProgress(context, "applying", () =>
    withSite(context.clock, registryTarget(options), async ({ segments }) => {
      for (const segment of wanted) {
        const applied = await segments.apply(segment, context.signal);
        context.out(`${segmentWords(segmentView(applied))}\n`);
      }
    }),
  );
}
