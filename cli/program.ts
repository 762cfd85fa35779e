import { Command, CommanderError } from "commander";
import { ownCheckout } from "../program/checkout.js";
import type { Shell } from "./command.js";
import { completeCommand, completionCommand } from "./commands/completion.js";
import { closeCommand, requestCommand } from "./commands/connect.js";
import { describeCommand, getCommand } from "./commands/get.js";
import { graphCommand } from "./commands/graph.js";
import { labCommand } from "./commands/lab.js";
import { nodeCommand } from "./commands/node.js";
import { pingCommand } from "./commands/ping.js";
import { policyCommand } from "./commands/policy.js";
import { applyCommand, createCommand, deleteCommand } from "./commands/segment.js";
import { serveCommand, unserveCommand } from "./commands/serve.js";
import { siteCommand } from "./commands/site.js";
import { traceCommand } from "./commands/trace.js";
import type { Context } from "./context.js";
import { exitCode, explain } from "./errors.js";
import { withLabPrefix } from "./labPrefix.js";

/** Runs one command line to its exit code: 0 done, 1 failed, 2 wrong use (`lab exec`: what the command gave). */
export async function run(context: Context, words: readonly string[]): Promise<number> {
  let code = 0;
  const program = build({
    context,
    exit: (given) => {
      code = given;
    },
  });
  try {
    await program.parseAsync(words, { from: "user" });
    return code;
  } catch (error) {
    // Commander has printed its own already: help and version end with 0, wrong use with something else.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (context.signal.aborted) {
      context.err("nsmctl: interrupted\n");
      return 1;
    }
    context.err(explain(error));
    return exitCode(error);
  }
}

/** The whole command tree. */
export function build(shell: Shell): Command {
  const program = withLabPrefix(new Command("nsmctl"))
    .description("Isthmus on the command line: ask for network services, serve them, look inside, raise a lab")
    .option("--node <name>", "a node of the lab")
    .option("--connect-to <url>", "an nsmgr's isthmus.v1 socket, unix:///PATH (default: NSM_CONNECT_TO)")
    .version(ownCheckout()?.version ?? "unknown", "--version", "print the version")
    .addHelpText("after", "\nExamples:\n  nsmctl lab up\n  nsmctl --node paris-1 get nodes\n\nEvery command explains itself with --help.");
  const commands = [
    serveCommand,
    unserveCommand,
    requestCommand,
    closeCommand,
    getCommand,
    describeCommand,
    traceCommand,
    applyCommand,
    createCommand,
    deleteCommand,
    pingCommand,
    graphCommand,
    nodeCommand,
    siteCommand,
    policyCommand,
    labCommand,
    completionCommand,
  ];
  for (const make of commands) program.addCommand(make(shell));
  program.addCommand(completeCommand(shell), { hidden: true });
  settle(program, shell.context);
  return program;
}

// Everything goes through the context, nothing ends the process, and help shows what every command takes.
function settle(command: Command, context: Context): void {
  command
    .exitOverride()
    .configureOutput({
      writeOut: (text) => context.out(text),
      writeErr: (text) => context.err(text),
      outputError: (text, write) => write(`nsmctl: ${text.replace(/^error: /, "")}`),
    })
    .configureHelp({ showGlobalOptions: true, helpWidth: 110 })
    .helpCommand(false)
    .showSuggestionAfterError();
  for (const sub of command.commands) settle(sub, context);
}
