import { readFileSync } from "node:fs";
import { parse } from "yaml";
import type { z } from "zod";
import { MeshError } from "../core/error.js";
import { bool } from "./values.js";

/** One thing that can be configured: by flag (`--listen-on`), variable (`NSM_LISTEN_ON`), file (`listen-on:`), or left as it is. */
export interface Setting<T> {
  /** The environment variable; the flag and the key in a file follow from it: NSM_LISTEN_ON is --listen-on. */
  readonly env: string;
  readonly about: string;
  /** From text to value; see values.ts for the usual ones. */
  readonly value: z.ZodType<T, string>;
  /** As text. Without it the setting must be given. */
  readonly fallback?: string | undefined;
}

// biome-ignore lint/suspicious/noExplicitAny: each setting keeps its own type in ConfigOf.
export type Settings = Readonly<Record<string, Setting<any>>>;
export type ConfigOf<S extends Settings> = { readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : never };

export function setting<T>(env: string, about: string, value: z.ZodType<T, string>, fallback?: string): Setting<T> {
  return { env, about, value, fallback };
}

export interface ConfigSources {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Without the interpreter and the script. */
  readonly argv: readonly string[];
  readonly programName: string;
}

/** A value as it was written, and where, in words that its writer recognises. */
interface Given {
  readonly text: string;
  readonly where: string;
}

/**
 * Flags win over the environment, that over `--config FILE.yaml`, that over the defaults.
 * Throws MeshError "invalid" naming key, value and what is allowed; one line for each thing that is wrong.
 */
export function loadConfig<S extends Settings>(settings: S, sources: ConfigSources): ConfigOf<S> {
  const flags = readFlags(settings, sources.argv);
  const file = flags.get("config");
  const inFile = file === undefined ? new Map<string, Given>() : readFile(settings, file.text);
  const wrong: string[] = [];
  const values = Object.entries(settings).map(([key, one]) => {
    const given = flags.get(flagOf(one)) ?? fromEnv(one, sources.env) ?? inFile.get(flagOf(one)) ?? fallbackOf(one);
    if (given === undefined) wrong.push(`${one.env} (or --${flagOf(one)}) must be given: ${one.about}`);
    return [key, given === undefined ? undefined : parsed(one, given, wrong)];
  });
  if (wrong.length > 0) throw new MeshError("invalid", wrong.join("\n"));
  return Object.fromEntries(values) as ConfigOf<S>;
}

/** What --help prints. */
export function usage(settings: Settings, programName: string): string {
  const rows = Object.values(settings).map((one) => [`--${flagOf(one)}`, one.env, describe(one)] as const);
  rows.push(["--config FILE", "", "YAML; its keys are the flags' names"], ["--help", "", "this text"], ["--version", "", "the version"]);
  const width = (column: 0 | 1) => Math.max(...rows.map((row) => row[column].length));
  const lines = rows.map(([flag, env, about]) => `  ${flag.padEnd(width(0))}  ${env.padEnd(width(1))}  ${about}`);
  return `${programName} [--flag value]...\n\nFlags win over variables, those over the file.\n\n${lines.join("\n")}\n`;
}

function describe(one: Setting<unknown>): string {
  if (one.fallback === undefined) return `${one.about} (must be given)`;
  return one.fallback === "" ? one.about : `${one.about} (${one.fallback})`;
}

function flagOf(one: Setting<unknown>): string {
  return one.env.replace(/^NSM_/, "").toLowerCase().replaceAll("_", "-");
}

function readFlags(settings: Settings, argv: readonly string[]): ReadonlyMap<string, Given> {
  const known = new Map(Object.values(settings).map((one) => [flagOf(one), one]));
  const given = new Map<string, Given>();
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at] ?? "";
    const [, name = "", inline] = /^--([a-z0-9-]+)(?:=(.*))?$/s.exec(word) ?? [];
    if (name !== "config" && !known.has(name))
      throw new MeshError("invalid", `${JSON.stringify(word)} is not understood; the flags are ${names(known.keys())}`);
    // A switch needs no value.
    const bare = inline === undefined && known.get(name)?.value === bool && !/^(true|false)$/.test(argv[at + 1] ?? "");
    const text = inline ?? (bare ? "true" : argv[++at]);
    if (text === undefined) throw new MeshError("invalid", `--${name} needs a value`);
    given.set(name, { text, where: `--${name}` });
  }
  return given;
}

function readFile(settings: Settings, file: string): ReadonlyMap<string, Given> {
  const known = new Set(Object.values(settings).map(flagOf));
  const given = new Map<string, Given>();
  for (const [key, value] of Object.entries(readYaml(file))) {
    if (!known.has(key))
      throw new MeshError("invalid", `${file}: the key ${JSON.stringify(key)} is not known; the keys are ${[...known].join(", ")}`);
    given.set(key, { text: flat(value), where: `${key} in ${file}` });
  }
  return given;
}

function readYaml(file: string): Record<string, unknown> {
  let content: unknown;
  try {
    content = parse(readFileSync(file, "utf8")) ?? {};
  } catch (error) {
    throw new MeshError("invalid", `--config ${file} cannot be read: ${(error as Error).message}`, { cause: error });
  }
  if (typeof content === "object" && content !== null && !Array.isArray(content)) return content as Record<string, unknown>;
  throw new MeshError("invalid", `--config ${file} must hold keys and values, such as "name: paris-1"`);
}

/** YAML's lists and maps as the text that a variable would hold. */
function flat(value: unknown): string {
  if (Array.isArray(value)) return value.map(flat).join(",");
  if (typeof value === "object" && value !== null)
    return Object.entries(value)
      .map(([key, inner]) => `${key}:${flat(inner)}`)
      .join(",");
  return value === null || value === undefined ? "" : String(value);
}

/** An empty variable counts as none: that is how a template leaves one out. */
function fromEnv(one: Setting<unknown>, env: ConfigSources["env"]): Given | undefined {
  const text = env[one.env];
  return text === undefined || text === "" ? undefined : { text, where: one.env };
}

function fallbackOf(one: Setting<unknown>): Given | undefined {
  return one.fallback === undefined ? undefined : { text: one.fallback, where: `the default of ${one.env}` };
}

function parsed(one: Setting<unknown>, given: Given, wrong: string[]): unknown {
  const result = one.value.safeParse(given.text);
  if (result.success) return result.data;
  wrong.push(`${given.where} is ${JSON.stringify(given.text)}; it must be ${result.error.issues[0]?.message ?? "something else"}`);
  return undefined;
}

function names(flags: Iterable<string>): string {
  return [...flags, "config", "help", "version"].map((flag) => `--${flag}`).join(", ");
}
