import { Argument, type Command } from "commander";
import { MeshError } from "../../core/error.js";
import { command, optionsOf, type Shell } from "../command.js";
import type { Context, GlobalOptions } from "../context.js";
import { usage } from "../errors.js";
import { type Kind, kindOf, kinds } from "../kinds.js";
import { type Format, outputOption, print, yaml } from "../output.js";
import { withProgress } from "../progress.js";
import { withNode } from "../session.js";
import { type Row, table } from "../table.js";
import { targetOf } from "../target.js";

interface ReadOptions extends GlobalOptions {
  readonly output: Format;
}

const words = kinds.flatMap((kind) => [kind.plural, kind.name]);

/** `get KIND`. */
export function getCommand(shell: Shell): Command {
  return command("get", "list what a node knows", ["nsmctl --node paris-1 get connections", "nsmctl --node paris-1 get services -o json"])
    .addArgument(new Argument("<kind>", "what to list").choices(words))
    .addOption(outputOption())
    .action(async (word: string, _options: unknown, self: Command) => {
      const options = optionsOf<ReadOptions>(self);
      const kind = need(word);
      await print(shell.context, options.output, await list(shell.context, kind, options), (items) => rows(kind, items));
    });
}

/** `describe KIND NAME`. */
export function describeCommand(shell: Shell): Command {
  return command("describe", "show one thing with all that is known of it", [
    "nsmctl --node paris-1 describe service icmp",
    "nsmctl --node paris-1 describe node paris-1 -o json",
  ])
    .addArgument(new Argument("<kind>", "what it is").choices(words))
    .argument("<name>", "its name, or its id or the beginning of it")
    .addOption(outputOption())
    .action(async (word: string, name: string, _options: unknown, self: Command) => {
      const options = optionsOf<ReadOptions>(self);
      const kind = need(word);
      await print(shell.context, options.output, one(kind, await list(shell.context, kind, options), name), yaml);
    });
}

async function list(context: Context, kind: Kind, options: GlobalOptions): Promise<readonly object[]> {
  const { url } = targetOf(context, options, kind.siteWide ? (lab) => lab.nodes[0]?.name : undefined);
  return await withProgress(context, `asking for ${kind.plural}`, () =>
    withNode(context.clock, url, (node) => kind.list(node, context.signal)),
  );
}

function need(word: string): Kind {
  const kind = kindOf(word);
  if (kind === undefined) throw usage(`"${word}" is none of ${words.join(", ")}`);
  return kind;
}

function rows(kind: Kind, items: readonly object[]): string {
  if (items.length === 0) return `no ${kind.plural}`;
  return table(
    kind.columns,
    items.map((item): Row => kind.row(item as never)),
  );
}

/** The item of that name or id; a beginning that only one has will do. */
export function one(kind: Kind, items: readonly object[], name: string): object {
  const keys = items.map((item) => kind.key(item as never));
  const exact = items[keys.indexOf(name)];
  if (exact !== undefined) return exact;
  const [begun, ...more] = items.filter((_, at) => keys[at]?.startsWith(name));
  if (begun !== undefined && more.length === 0) return begun;
  if (begun !== undefined) throw new MeshError("not-found", `${more.length + 1} ${kind.plural} begin with ${name}; write more of it`);
  throw new MeshError(
    "not-found",
    `no ${kind.name} ${name}; ${keys.length === 0 ? `there are no ${kind.plural}` : `there are: ${keys.join(", ")}`}`,
  );
}
