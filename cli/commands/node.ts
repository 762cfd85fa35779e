import type { Command } from "commander";
import { writePrivate } from "../../identity/privateFile.js";
import { parseDuration } from "../check.js";
import { command, optionsOf, type Shell } from "../command.js";
import type { GlobalOptions } from "../context.js";
import { withSite } from "../session.js";
import { registryOption, registryTarget } from "../target.js";

interface InviteOptions extends GlobalOptions {
  readonly registry?: string;
  readonly lifetime: string;
  readonly file?: string;
}

/** `node …`. */
export function nodeCommand(shell: Shell): Command {
  return command("node", "let nodes into the site", ["nsmctl node invite paris-3 --file /root/paris-3.token"]).addCommand(
    inviteCommand(shell),
  );
}

function inviteCommand({ context }: Shell): Command {
  return command("invite", "make a one-time token with which the programs of one node join the site; run it where the registry is", [
    "nsmctl node invite paris-3 --file /root/paris-3.token",
    "nsmctl node invite paris-3 --registry unix:///run/isthmus/registry-admin.sock --lifetime 10m",
  ])
    .argument("<name>", "the node's name; it becomes a part of its programs' SPIFFE ids")
    .option("--registry <url|site>", registryOption)
    .option("--lifetime <duration>", "how long the token may be used", "1h")
    .option("--file <path>", "write the token there, mode 0600, and do not print it")
    .action(async (node: string, _options: unknown, self: Command) => {
      const options = optionsOf<InviteOptions>(self);
      const lifetimeMs = parseDuration("--lifetime", options.lifetime);
      const { token, expiresMs } = await withSite(context.clock, registryTarget(options), (site) =>
        site.inviteNode({ node, lifetimeMs }, context.signal),
      );
      if (options.file === undefined) context.out(`${token}\n`);
      else writePrivate(options.file, `${token}\n`);
      const where = options.file === undefined ? "keep it in a file of mode 0600" : `it is in ${options.file}: bring it`;
      context.err(
        `${where} on ${node}, and name it there with NSM_JOIN_TOKEN_FILE; nsmgr and forwarder may use it once each, until ${new Date(expiresMs).toISOString()}\n`,
      );
    });
}
