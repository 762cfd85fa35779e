import { type FSWatcher, readFileSync, watch } from "node:fs";
import { dirname } from "node:path";
import ipaddr from "ipaddr.js";
import { parse } from "yaml";
import { z } from "zod";
import type { Clock } from "../core/clock.js";
import { asMeshError, MeshError } from "../core/error.js";
import type { Log } from "../core/log.js";

const lookAgainMs = 5_000;

const prefix = z.string().refine((text) => ipaddr.isValidCIDR(text), "a prefix such as 10.96.0.0/12 or fd00::/8");
const content = z.object({ prefixes: z.array(prefix).nullish() }).nullish();

/** The prefixes in NSM's file format: `prefixes:` and a list. MeshError "invalid" names the file and what is wrong. */
export function parsePrefixes(text: string, path: string): readonly string[] {
  let raw: unknown;
  try {
    raw = parse(text);
  } catch (cause) {
    throw new MeshError("invalid", `${path} is no YAML: ${asMeshError(cause).message}`, { cause });
  }
  const parsed = content.safeParse(raw);
  if (parsed.success) return parsed.data?.prefixes ?? [];
  const issue = parsed.error.issues[0];
  throw new MeshError("invalid", `${path}: ${issue?.path.join(".")} must be ${issue?.message ?? "a list of prefixes"}`, {
    cause: parsed.error,
  });
}

/** The excluded prefixes of a file, as it is now: read again when it changes. A file that is not there excludes nothing. */
export class PrefixFile implements Disposable {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #log: Log;
  #text: string | undefined;
  #prefixes: readonly string[] = [];
  #watcher: FSWatcher | undefined;
  #timer: Disposable | undefined;

  /** Throws MeshError "invalid" when the file is there and wrong; later mistakes are logged and the last good state stays. */
  constructor(parts: { readonly path: string; readonly clock: Clock; readonly log: Log }) {
    this.#path = parts.path;
    this.#clock = parts.clock;
    this.#log = parts.log;
    this.#text = this.#read();
    this.#prefixes = this.#text === undefined ? [] : parsePrefixes(this.#text, this.#path);
    this.#watch();
  }

  get prefixes(): readonly string[] {
    return this.#prefixes;
  }

  [Symbol.dispose](): void {
    this.#watcher?.close();
    this.#timer?.[Symbol.dispose]();
  }

  #read(): string | undefined {
    try {
      return readFileSync(this.#path, "utf8");
    } catch {
      return undefined;
    }
  }

  #reload(): void {
    const text = this.#read();
    if (text === this.#text) return;
    this.#text = text;
    try {
      this.#prefixes = text === undefined ? [] : parsePrefixes(text, this.#path);
      this.#log.info("excluded prefixes changed", { prefixes: this.#prefixes });
    } catch (error) {
      this.#log.warn("excluded prefixes not changed", { error: asMeshError(error).message });
    }
  }

  /** The folder, not the file: editors and config maps put another file in its place. Where nothing can be watched, look now and then. */
  #watch(): void {
    try {
      this.#watcher = watch(dirname(this.#path), { persistent: false }, () => this.#reload());
      this.#watcher.on("error", () => this.#lookLater());
    } catch {
      this.#lookLater();
    }
  }

  #lookLater(): void {
    this.#watcher?.close();
    this.#timer = this.#clock.after(lookAgainMs, () => {
      this.#reload();
      this.#watch();
    });
  }
}
