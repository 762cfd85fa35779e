import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";

/** What a finished command printed and how it ended. `code` is null when a signal ended it. */
export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end. Never throws for an exit code; look at `code`. Killed after `timeoutMs`. */
export function run(
  command: string,
  args: readonly string[],
  options: { readonly timeoutMs?: number; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<Finished> {
  const child = spawn(command, args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: options.env ?? process.env,
    timeout: options.timeoutMs ?? 60_000,
  });
  return finished(child);
}

/** Runs a command that has to succeed and returns what it printed. */
export async function check(command: string, args: readonly string[], options: { readonly timeoutMs?: number } = {}): Promise<string> {
  const done = await run(command, args, options);
  if (done.code !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${done.code}:\n${done.stderr}${done.stdout}`);
  return done.stdout;
}

/** A command that runs beside the test. `done` resolves at its end; `stop` ends it with `signal` and waits for that. */
export class Running implements AsyncDisposable {
  readonly done: Promise<Finished>;
  readonly #child: ChildProcess;

  constructor(command: string, args: readonly string[]) {
    this.#child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
    this.done = finished(this.#child);
  }

  /** Resolves when the command has printed something that matches, on either stream. */
  async printed(pattern: RegExp): Promise<void> {
    await this.match(pattern);
  }

  /** The same, with what matched. */
  match(pattern: RegExp): Promise<RegExpExecArray> {
    return this.#read(String(pattern), (text) => pattern.exec(text) ?? undefined);
  }

  /** Resolves when it has printed that text `count` times more, on either stream; fails after `withinMs`. */
  async again(text: string, count: number, withinMs: number): Promise<void> {
    const what = `"${text}" ${count} times more`;
    await this.#read(what, (printed) => printed.split(text).length > count || undefined, withinMs);
  }

  #read<T>(what: string, look: (text: string) => T | undefined, withinMs?: number): Promise<T> {
    const streams = [this.#child.stdout, this.#child.stderr];
    return new Promise<T>((resolve, reject) => {
      let text = "";
      const late = withinMs && setTimeout(() => reject(new Error(`not printed within ${withinMs} ms: ${what}`)), withinMs);
      const more = (chunk: Buffer): void => {
        text += chunk.toString();
        const found = look(text);
        if (found === undefined) return;
        for (const stream of streams) stream?.off("data", more);
        clearTimeout(late);
        resolve(found);
      };
      for (const stream of streams) stream?.on("data", more);
      this.done.then((end) => reject(new Error(`it ended before it printed ${what}: ${end.stderr}`)), reject);
    });
  }

  /** Sends a signal that does not end it, such as SIGSTOP. */
  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** The bytes that it has in memory now (resident). */
  memory(): number {
    const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${this.#child.pid}/status`, "utf8")) ?? [];
    return Number(kilobytes) * 1024;
  }

  async stop(signal: NodeJS.Signals = "SIGINT"): Promise<Finished> {
    this.#child.kill(signal);
    return this.done;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await this.stop("SIGKILL");
  }
}

function finished(child: ChildProcess): Promise<Finished> {
  return new Promise((resolve, reject) => {
    let stdout = "";
    let stderr = "";
    child.stdout?.on("data", (chunk: Buffer) => {
      stdout += chunk.toString();
    });
    child.stderr?.on("data", (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, stdout, stderr }));
  });
}
