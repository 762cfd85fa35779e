import type { z } from "zod";
import { MeshError } from "../core/error.js";

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

/**
 * Flags win over the environment, that over `--config FILE.yaml`, that over the defaults.
 * Throws MeshError "invalid" naming key, value and what is allowed.
 */
export function loadConfig<S extends Settings>(_settings: S, sources: ConfigSources): ConfigOf<S> {
  throw new MeshError("unsupported", `${sources.programName} cannot be configured yet`);
}
