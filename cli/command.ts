import { Command } from "commander";
import type { Context, GlobalOptions } from "./context.js";

/** What a command's action gets: the context, and the exit code that it may set. */
export interface Shell {
  readonly context: Context;
  /** The exit code when nothing is thrown. */
  exit(code: number): void;
}

/** A command with its examples, which `--help` shows. Every example is a whole line that works. */
export function command(name: string, description: string, examples: readonly string[]): Command {
  const text = examples.map((example) => `  ${example}`).join("\n");
  return new Command(name).description(description).addHelpText("after", `\nExample${examples.length > 1 ? "s" : ""}:\n${text}`);
}

/** A command's own options together with those that every command takes. */
export function optionsOf<T>(from: Command): T & GlobalOptions {
  return from.optsWithGlobals<T & GlobalOptions>();
}

/** Collects an option that may be given several times. */
export function several(word: string, before: readonly string[] = []): string[] {
  return [...before, word];
}
