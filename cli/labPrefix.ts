import { type Command, Option } from "commander";
import { usage } from "./errors.js";

/**
 * Gives the program the option `--prefix`. It means a lab, which has no slash in its name, wherever it stands on the line; one with a slash
 * is of addresses, and goes to `prefixes`, for the command that has such an option itself.
 */
export function withLabPrefix(program: Command): Command {
  const parse = (word: string, before: string) => {
    if (!word.includes("/")) return word;
    program.setOptionValue("prefixes", word);
    return before;
  };
  return program
    .addOption(new Option("--prefix <name>", "the lab's prefix").default("nsm").argParser(parse))
    .hook("preAction", (_program, { options }) => {
      const { prefixes }: { readonly prefixes?: string } = program.opts();
      if (prefixes !== undefined && options.every(({ long }) => long !== "--prefix"))
        throw usage(`--prefix takes the name of a lab here, which has no slash, got "${prefixes}"`);
    });
}
