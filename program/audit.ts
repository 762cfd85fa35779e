import { appendFileSync, chmodSync, closeSync, mkdirSync, openSync, renameSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { Audit, AuditEntry } from "../core/audit.js";
import type { Clock } from "../core/clock.js";
import { MeshError } from "../core/error.js";
import type { Log } from "../core/log.js";
import { setting } from "./config.js";
import { optionalText } from "./values.js";

export const auditLog = setting(
  "NSM_AUDIT_LOG",
  "the file of what was denied and of changes of the policy, JSON lines; audit.log in the state folder unless given",
  optionalText,
  "",
);

/** The same denial again within this time is counted, and told at its end. */
const windowMs = 10_000;
/** So many different ones are told within it; those beyond are only counted. */
const mostInWindow = 1_000;

/** A file that has grown so large is moved to `FILE.1`, in place of the one before: who is denied all day must not fill the disk. */
const largest = 64 * 1024 * 1024;

export interface AuditLogParts {
  readonly write: (line: string) => void;
  readonly clock: Clock;
  readonly log: Log;
}

/** JSON lines: the first of a kind at once, its repeats as one line every ten seconds. */
export class AuditLog implements Audit, Disposable {
  readonly #parts: AuditLogParts;
  readonly #told = new WeakSet<object>();
  readonly #window = new Map<string, { readonly entry: AuditEntry; repeats: number }>();
  #beyond = 0;
  #timer: Disposable | undefined;

  constructor(parts: AuditLogParts) {
    this.#parts = parts;
  }

  denied(entry: AuditEntry, error?: unknown): void {
    if (typeof error === "object" && error !== null) {
      if (this.#told.has(error)) return;
      this.#told.add(error);
    }
    this.#timer ??= this.#parts.clock.after(windowMs, () => this.#flush());
    const key = JSON.stringify([entry.who, entry.what, entry.on, entry.sentence]);
    const seen = this.#window.get(key);
    if (seen !== undefined) seen.repeats++;
    else if (this.#window.size >= mostInWindow) this.#beyond++;
    else {
      this.#window.set(key, { entry, repeats: 0 });
      this.#write("denied", entry);
    }
  }

  changed(entry: AuditEntry): void {
    this.#write("changed", entry);
  }

  /** Tells what was only counted so far. */
  [Symbol.dispose](): void {
    this.#flush();
  }

  #flush(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    for (const { entry, repeats } of this.#window.values()) if (repeats > 0) this.#write("denied", entry, { repeats });
    if (this.#beyond > 0) {
      const sentence = `${this.#beyond} more denials within ${windowMs / 1_000} s were not written one by one`;
      this.#write("denied", { who: "others", what: "different things", on: "", sentence }, { repeats: this.#beyond });
    }
    this.#window.clear();
    this.#beyond = 0;
  }

  #write(event: "denied" | "changed", { who, what, on, sentence }: AuditEntry, more: { readonly repeats?: number } = {}): void {
    const time = new Date(this.#parts.clock.now()).toISOString();
    try {
      this.#parts.write(`${JSON.stringify({ time, event, who, what, on, sentence, ...more })}\n`);
    } catch (error) {
      this.#parts.log.error("audit log not written", { event, who, what, on, error });
    }
  }
}

/**
 * The audit log in `file`, mode 0600. It may be moved away at any time: each line opens it anew. Beyond `most` bytes it is moved to
 * `FILE.1`. Throws "invalid" for a file that cannot be.
 */
export function openAuditLog(file: string, parts: Omit<AuditLogParts, "write">, most = largest): AuditLog {
  let size = 0;
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    closeSync(openSync(file, "a", 0o600));
    chmodSync(file, 0o600);
    size = statSync(file).size;
  } catch (error) {
    throw new MeshError("invalid", `NSM_AUDIT_LOG: ${file} cannot be written: ${(error as Error).message}`, { cause: error });
  }
  const write = (line: string) => {
    const length = Buffer.byteLength(line);
    if (size > 0 && size + length > most) {
      renameSync(file, `${file}.1`);
      size = 0;
    }
    appendFileSync(file, line, { mode: 0o600 });
    size += length;
  };
  return new AuditLog({ ...parts, write });
}
