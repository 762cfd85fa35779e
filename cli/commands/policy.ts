import { readFileSync, statSync } from "node:fs";
import { type Command, Option } from "commander";
import { MeshError } from "../../core/error.js";
import { type Decision, decide } from "../../identity/policy/decide.js";
import { type Action, actions, longestPolicy, type Policy } from "../../identity/policy/policy.js";
import { parseSpiffeId } from "../../identity/spiffe.js";
import { parseLabels } from "../check.js";
import { command, optionsOf, type Shell, several } from "../command.js";
import type { Context, GlobalOptions } from "../context.js";
import { type Format, outputOption, print } from "../output.js";
import { withSite } from "../session.js";
import { registryOption, registryTarget } from "../target.js";

interface RegistryOptions extends GlobalOptions {
  readonly registry?: string;
}

interface ApplyOptions extends RegistryOptions {
  readonly file: string;
  readonly force?: true;
  readonly as?: string;
}

interface AskOptions extends RegistryOptions {
  readonly file?: string;
  readonly as: string;
  readonly may: Action;
  readonly service: string;
  readonly podLabel?: string[];
  readonly output: Format;
}

const anna = "--as spiffe://paris/node/paris-1/nsmgr/isthmus-pod/client --may request --service camera-feed";

/** `policy …`. */
export function policyCommand(shell: Shell): Command {
  return command("policy", "who may register, find, request and monitor what in the site", [
    "nsmctl policy apply -f examples/policy.yaml",
    `nsmctl policy explain ${anna}`,
  ])
    .addCommand(applyCommand(shell))
    .addCommand(getPolicyCommand(shell))
    .addCommand(testCommand(shell))
    .addCommand(explainCommand(shell));
}

function applyCommand({ context }: Shell): Command {
  return command("apply", "make a file the site's policy, in place of the one before; run it where the registry is", [
    "nsmctl policy apply -f examples/policy.yaml",
    "nsmctl policy apply -f policy.yaml --as spiffe://paris/user/anna",
  ])
    .requiredOption("-f, --file <path>", "the policy, YAML")
    .option("--as <id>", "the SPIFFE id of who applies it, who must not lock itself out")
    .option("--force", "also when it locks out programs of the site, or who applies it")
    .option("--registry <url|site>", registryOption)
    .action(async (_options: unknown, self: Command) => {
      const options = optionsOf<ApplyOptions>(self);
      const { text, policy } = await readPolicy(options.file);
      if (options.as !== undefined) parseSpiffeId(options.as);
      const request = { text, force: options.force === true, author: options.as ?? "" };
      const applied = await withSite(context.clock, registryTarget(options), (site) => site.policy.apply(request, context.signal));
      context.out(`version ${applied.version} of the policy holds: ${policy.rules.length} rules\n`);
    });
}

function getPolicyCommand({ context }: Shell): Command {
  return command("get", "show the site's policy", ["nsmctl policy get", "nsmctl policy get -o yaml > policy.yaml"])
    .option("--registry <url|site>", registryOption)
    .addOption(outputOption())
    .action(async (_options: unknown, self: Command) => {
      const options = optionsOf<RegistryOptions & { readonly output: Format }>(self);
      const policy = await withSite(context.clock, registryTarget(options), (site) => site.policy.get(context.signal));
      // As it was applied, comments too, so that it can be changed and applied again.
      if (options.output === "yaml") context.out(policy.text.endsWith("\n") ? policy.text : `${policy.text}\n`);
      else
        await print(
          context,
          options.output,
          policy,
          ({ version, appliedMs, inForce }) => `${since(version, appliedMs)}\n${inForce.trimEnd()}`,
        );
    });
}

function since(version: number, appliedMs: number): string {
  return version === 0 ? "# the policy of a fresh site" : `# version ${version}, applied ${new Date(appliedMs).toISOString()}`;
}

function testCommand(shell: Shell): Command {
  return asking("test", "whether a policy file allows something; ends with 0 if it does, else with 1", [
    `nsmctl policy test -f examples/policy.yaml ${anna}`,
  ])
    .requiredOption("-f, --file <path>", "the policy, YAML")
    .action(async (_options: unknown, self: Command) => {
      const options = optionsOf<AskOptions>(self);
      const decision = decided((await readPolicy(options.file ?? "")).policy, options);
      await print(shell.context, options.output, told(decision), () => words(decision));
      shell.exit(decision.allowed ? 0 : 1);
    });
}

function explainCommand({ context }: Shell): Command {
  return asking("explain", "which rule of the site's policy allows something, or which is missing", [
    `nsmctl policy explain ${anna} --pod-label role=viewer`,
  ])
    .option("-f, --file <path>", "of this file, not of the site's policy")
    .option("--registry <url|site>", registryOption)
    .action(async (_options: unknown, self: Command) => {
      const options = optionsOf<AskOptions>(self);
      const decision = decided(await policyOf(context, options), options);
      await print(context, options.output, told(decision), () => words(decision));
    });
}

function asking(name: string, description: string, examples: readonly string[]): Command {
  return command(name, description, examples)
    .requiredOption("--as <id>", "who: a SPIFFE id")
    .addOption(new Option("--may <action>", "what it wants to do").choices(actions).makeOptionMandatory())
    .requiredOption("--service <name>", "with which network service")
    .option("--pod-label <key=value>", "a label of the pod that it is; may be given several times", several)
    .addOption(outputOption());
}

async function policyOf(context: Context, options: AskOptions): Promise<Policy> {
  if (options.file !== undefined) return (await readPolicy(options.file)).policy;
  const { inForce } = await withSite(context.clock, registryTarget(options), (site) => site.policy.get(context.signal));
  const { parseInForce } = await import("../../identity/policy/parse.js");
  return parseInForce(inForce, "the site's policy");
}

function decided(policy: Policy, { as: id, may: action, service, podLabel = [] }: AskOptions): Decision {
  parseSpiffeId(id);
  return decide(policy, { id, action, service, podLabels: parseLabels(podLabel, "--pod-label") });
}

/** For `-o json`. */
function told(decision: Decision) {
  return decision.allowed ? { allowed: true, rule: decision.rule.title } : { allowed: false, missing: decision.missing };
}

function words(decision: Decision): string {
  return decision.allowed ? `allowed by ${decision.rule.title}` : `denied: ${decision.missing}`;
}

async function readPolicy(file: string): Promise<{ readonly text: string; readonly policy: Policy }> {
  const { parsePolicy } = await import("../../identity/policy/parse.js");
  try {
    const { size } = statSync(file);
    if (size > 4 * longestPolicy)
      throw new MeshError("invalid", `${file} has ${size} bytes; a policy has at most ${longestPolicy} characters`);
    const text = readFileSync(file, "utf8");
    return { text, policy: parsePolicy(text, file) };
  } catch (error) {
    if (error instanceof MeshError) throw error;
    throw new MeshError("invalid", `${file} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}
