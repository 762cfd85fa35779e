import { Argument, type Command } from "commander";
import { MeshError } from "../../core/error.js";
import { command, optionsOf, type Shell } from "../command.js";
import type { Context, GlobalOptions } from "../context.js";
import { usage } from "../errors.js";
import { type Kind, kindOf, kinds, type Sources } from "../kinds.js";
import { type Format, outputOption, print, yaml } from "../output.js";
import { withProgress } from "../progress.js";
import { withNode, withSite } from "../session.js";
import { type Row, table } from "../table.js";
import { anyNode, registryOption, registryTarget, targetOf } from "../target.js";

interface ReadOptions extends GlobalOptions {
  readonly registry?: string;
  readonly output: Format;
}

const words = (some: readonly Kind[]) => some.flatMap((kind) => [kind.plural, kind.name]);
/** Of which each has a name of its own in the whole site. */
const described = kinds.filter((kind) => kind.of === undefined);

/** `get KIND`. */
export function getCommand(shell: Shell): Command {
  return command("get", "list what a node knows", [
    "nsmctl --node paris-1 get connections",
    "nsmctl --node paris-1 get services -o json",
    "nsmctl get segments",
    "nsmctl get members plant",
    "nsmctl get blocks plant",
  ])
    .addArgument(new Argument("<kind>", "what to list").choices(words(kinds)))
    .argument("[segment]", "for members and blocks: of which segment")
    .option("--registry <url|site>", registryOption)
    .addOption(outputOption())
    .action(async (word: string, of: string | undefined, _options: unknown, self: Command) => {
      const options = optionsOf<ReadOptions>(self);
      const kind = need(word, of);
      const items = await asked(shell.context, kind, options, (from) => kind.list(from, shell.context.signal, of ?? ""));
      await print(shell.context, options.output, items, (found) => rows(kind, found));
    });
}

/** `describe KIND NAME`. */
export function describeCommand(shell: Shell): Command {
  return command("describe", "show one thing with all that is known of it", [
    "nsmctl --node paris-1 describe service icmp",
    "nsmctl --node paris-1 describe node paris-1 -o json",
    "nsmctl describe segment plant",
  ])
    .addArgument(new Argument("<kind>", "what it is").choices(words(described)))
    .argument("<name>", "its name, or its id or the beginning of it")
    .option("--registry <url|site>", registryOption)
    .addOption(outputOption())
    .action(async (word: string, name: string, _options: unknown, self: Command) => {
      const options = optionsOf<ReadOptions>(self);
      const kind = need(word);
      const { signal } = shell.context;
      const item = await asked(shell.context, kind, options, async (from) => {
        const found = one(kind, await kind.list(from, signal, ""), name);
        return kind.describe === undefined ? found : await kind.describe(found as never, from, signal);
      });
      await print(shell.context, options.output, item, (found) => kind.text?.(found as never) ?? yaml(found));
    });
}

function asked<T>(context: Context, kind: Kind, options: ReadOptions, ask: (from: Sources) => Promise<T>): Promise<T> {
  const from: Sources = {
    node: (use) => withNode(context.clock, targetOf(context, options, kind.siteWide ? anyNode(options) : undefined).url, use),
    registry: (use) => withSite(context.clock, registryTarget(options), use),
  };
  return withProgress(context, `asking for ${kind.plural}`, () => ask(from));
}

function need(word: string, of?: string): Kind {
  const kind = kindOf(word);
  if (kind === undefined) throw usage(`"${word}" is none of ${words(kinds).join(", ")}`);
  if (kind.of !== undefined && of === undefined) throw usage(`say of which ${kind.of}: \`nsmctl get ${kind.plural} NAME\``);
  if (kind.of === undefined && of !== undefined)
    throw usage(`\`nsmctl get ${kind.plural}\` takes no name, got "${of}"; see \`nsmctl describe\``);
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
