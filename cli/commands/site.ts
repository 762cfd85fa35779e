import { readFileSync } from "node:fs";
import type { Command } from "commander";
import type { ListSitesResponse } from "../../api/gen/isthmus/v1/site.js";
import { MeshError } from "../../core/error.js";
import { writePrivate } from "../../identity/privateFile.js";
import type { SiteApi } from "../../rpc/identityApi.js";
import { parseDuration } from "../check.js";
import { command, optionsOf, type Shell } from "../command.js";
import type { Context, GlobalOptions } from "../context.js";
import { usage } from "../errors.js";
import { type Format, outputOption, print } from "../output.js";
import { withSite } from "../session.js";
import { table } from "../table.js";
import { registryOption, registryTarget } from "../target.js";

interface SiteOptions extends GlobalOptions {
  readonly registry?: string;
}

/** `site …`. */
export function siteCommand(shell: Shell): Command {
  return command(
    "site",
    "join sites, so that each finds what the other serves. A site needs no making: its registry makes the site's authority when it starts for the first time",
    ["nsmctl site invite --file /root/paris.token", "nsmctl site join --file /root/paris.token", "nsmctl site list"],
  )
    .addCommand(inviteCommand(shell))
    .addCommand(joinCommand(shell))
    .addCommand(listCommand(shell))
    .addCommand(leaveCommand(shell));
}

function inviteCommand({ context }: Shell): Command {
  return command("invite", "make a one-time token with which one other site joins; run it where the registry is", [
    "nsmctl site invite",
    "nsmctl site invite --registry unix:///run/isthmus/registry-admin.sock --lifetime 10m --file /root/paris.token",
  ])
    .option("--registry <url|site>", registryOption)
    .option("--lifetime <duration>", "how long the token may be used", "1h")
    .option("--file <path>", "write the token there, mode 0600, and do not print it")
    .action(async (_options: unknown, self: Command) => {
      const options = optionsOf<SiteOptions & { readonly lifetime: string; readonly file?: string }>(self);
      const lifetimeMs = parseDuration("--lifetime", options.lifetime);
      const { token, expiresMs } = await atRegistry(context, options, (site) => site.inviteSite({ lifetimeMs }, context.signal));
      if (options.file === undefined) context.out(`${token}\n`);
      else writePrivate(options.file, `${token}\n`);
      const where = options.file === undefined ? "bring it" : `it is in ${options.file}: bring it`;
      const until = new Date(expiresMs).toISOString();
      context.err(`${where} to the other site, and there: \`nsmctl site join\`; whoever has it can join, once, until ${until}\n`);
    });
}

function joinCommand({ context }: Shell): Command {
  return command("join", "join the site that made the token; each gets the other's authorities and addresses", [
    "nsmctl site join --file /root/paris.token",
    "nsmctl site join TOKEN --registry tokyo",
  ])
    .argument("[token]", "what `nsmctl site invite` printed; others can see it here while this runs: a file is better")
    .option("--registry <url|site>", registryOption)
    .option("--file <path>", "the file that has the token; - is standard input")
    .action(async (word: string | undefined, _options: unknown, self: Command) => {
      const options = optionsOf<SiteOptions & { readonly file?: string }>(self);
      const token = tokenOf(word, options.file);
      const joined = await atRegistry(context, options, (site) => site.joinSite({ token }, context.signal));
      context.out(`joined with ${joined.name} (${joined.trustDomain}): names such as SERVICE@${joined.name} are found now\n`);
    });
}

function tokenOf(word: string | undefined, file: string | undefined): string {
  if ((word === undefined) === (file === undefined)) throw usage("give the token, or name its file with --file");
  if (file === undefined) return word ?? "";
  try {
    return readFileSync(file === "-" ? 0 : file, "utf8").trim();
  } catch (error) {
    throw new MeshError("not-found", `cannot read ${file}: ${(error as Error).message}`, { cause: error });
  }
}

function listCommand({ context }: Shell): Command {
  return command("list", "show the sites that this one is joined with", ["nsmctl site list", "nsmctl site list --registry tokyo -o json"])
    .option("--registry <url|site>", registryOption)
    .addOption(outputOption())
    .action(async (_options: unknown, self: Command) => {
      const options = optionsOf<SiteOptions & { readonly output: Format }>(self);
      const sites = await atRegistry(context, options, (site) => site.listSites(context.signal));
      await print(context, options.output, sites, listText);
    });
}

function listText({ name, trustDomain, sites }: ListSitesResponse): string {
  if (sites.length === 0) return `${name} (${trustDomain}) is joined with no other site`;
  return table(
    ["site", "trust domain", "state", "registries", "reason"],
    sites.map((site) => ({
      ...{ site: site.name, "trust domain": site.trustDomain, state: site.state, registries: site.urls.join(","), reason: site.reason },
    })),
  );
}

function leaveCommand({ context }: Shell): Command {
  return command("leave", "trust a site no more; what is connected there ends when its tokens do. The other site is to do the same", [
    "nsmctl site leave lima",
  ])
    .argument("<name>", "the site's name")
    .option("--registry <url|site>", registryOption)
    .action(async (name: string, _options: unknown, self: Command) => {
      await atRegistry(context, optionsOf<SiteOptions>(self), (site) => site.leaveSite({ name }, context.signal));
      context.out(`${name} is not trusted any more\n`);
    });
}

function atRegistry<T>(context: Context, options: SiteOptions, use: (site: SiteApi) => Promise<T>): Promise<T> {
  return withSite(context.clock, registryTarget(options), use);
}
