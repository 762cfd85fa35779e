import type { Command, Option } from "commander";
import { kindOf } from "./kinds.js";

/** What can be asked of the world outside the command line, each quick and never failing. */
export interface Names {
  nodes(): string[];
  pods(): string[];
  services(): Promise<string[]>;
  segments(): Promise<string[]>;
  /** Names of members: of the segment that the line names, else of all. */
  members(): Promise<string[]>;
}

/** Words that may come next; `words` is the line after `nsmctl`, its last word is the one being typed, perhaps empty. */
export async function complete(program: Command, words: readonly string[], names: Names): Promise<string[]> {
  const typed = words.at(-1) ?? "";
  const before = words.slice(0, -1);
  if (before.includes("--")) return [];
  const { command, operands } = walk(program, before);
  const pending = optionBefore(program, command, before.at(-1));
  const candidates =
    pending !== undefined
      ? await valuesOf(pending, names)
      : typed.startsWith("-")
        ? flags(program, command)
        : await next(command, operands, names);
  return [...new Set(candidates)].filter((word) => word.startsWith(typed)).sort();
}

/** The command that the line has come to, and those of its words that are its arguments. */
function walk(program: Command, words: readonly string[]): { readonly command: Command; readonly operands: readonly string[] } {
  let command = program;
  const operands: string[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? "";
    if (word.startsWith("-")) {
      if (optionBefore(program, command, word) !== undefined) at++;
      continue;
    }
    const sub = operands.length === 0 ? command.commands.find((one) => one.name() === word) : undefined;
    if (sub === undefined) operands.push(word);
    else command = sub;
  }
  return { command, operands };
}

// An option that still waits for its value.
function optionBefore(program: Command, command: Command, word: string | undefined): Option | undefined {
  if (word === undefined) return undefined;
  return [...command.options, ...program.options].find((option) => (option.long === word || option.short === word) && option.required);
}

function flags(program: Command, command: Command): string[] {
  return [...command.options, ...program.options].flatMap((option) => option.long ?? []).concat("--help");
}

async function valuesOf(option: Option, names: Names): Promise<string[]> {
  if (option.argChoices !== undefined) return option.argChoices;
  if (option.long === "--node") return names.nodes();
  if (option.long === "--pod" || option.long === "--from") return names.pods();
  if (option.long === "--segment") return await names.segments();
  return [];
}

async function next(command: Command, operands: readonly string[], names: Names): Promise<string[]> {
  const subs = command.commands.filter((sub) => !sub.name().startsWith("__")).map((sub) => sub.name());
  const all = command.registeredArguments;
  const argument = all[operands.length] ?? (all.at(-1)?.variadic ? all.at(-1) : undefined);
  if (argument === undefined) return subs;
  if (argument.argChoices !== undefined) return argument.argChoices.filter((word, at, choices) => choices.indexOf(word) === at);
  const name = argument.name();
  if (name === "segment") return wantsSegment(operands) ? await names.segments() : subs;
  if (name === "name" && command.name() === "describe") return await described(operands, names);
  if (name.startsWith("member|")) return await names.members();
  if (name === "service") return [...subs, ...(await names.services())];
  if (name.startsWith("node|pod")) return [...subs, ...names.nodes(), ...names.pods()];
  if (name.startsWith("node|")) return [...subs, ...names.nodes()];
  if (name === "name" && command.parent?.name() === "pod") return [...subs, ...names.pods()];
  return subs;
}

/** Of which kinds names are known without asking for all that there is. */
async function described([word = ""]: readonly string[], names: Names): Promise<string[]> {
  switch (kindOf(word)?.name) {
    case "segment":
      return await names.segments();
    case "service":
      return await names.services();
    case "node":
      return names.nodes();
    default:
      return [];
  }
}

/** `get members` goes on with a segment, `get nodes` does not. */
function wantsSegment([kind]: readonly string[]): boolean {
  return kind === undefined || kindOf(kind)?.of === "segment";
}

/** The script that a shell sources. */
export const scripts: Readonly<Record<string, string>> = {
  bash: `# nsmctl completion for bash: source <(nsmctl completion bash)
_nsmctl() {
  local line="\${COMP_LINE:0:COMP_POINT}" words=()
  read -ra words <<< "$line"
  [[ $line == *" " ]] && words+=("")
  local IFS=$'\\n'
  COMPREPLY=($(nsmctl __complete -- "\${words[@]:1}" 2>/dev/null))
}
complete -o default -F _nsmctl nsmctl
`,
  zsh: `#compdef nsmctl
# nsmctl completion for zsh: source <(nsmctl completion zsh)
_nsmctl() {
  local -a found
  found=("\${(@f)$(nsmctl __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  (( \${#found} )) && [[ -n \${found[1]} ]] && compadd -a found || _files
}
compdef _nsmctl nsmctl
`,
  fish: `# nsmctl completion for fish: nsmctl completion fish | source
function __nsmctl_complete
  set -l words (commandline -opc) (commandline -ct)
  nsmctl __complete -- $words[2..-1] 2>/dev/null
end
complete -c nsmctl -f -a '(__nsmctl_complete)'
`,
};
