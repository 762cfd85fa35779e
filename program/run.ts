import type { Clock } from "../core/clock.js";
import { MeshError } from "../core/error.js";
import type { Log } from "../core/log.js";
import { type ConfigOf, type Settings, setting } from "./config.js";
import { logLevels } from "./log.js";
import { oneOf } from "./values.js";

/** What every program can be told. */
export const commonSettings = { logLevel: setting("LOG_LEVEL", "how much is logged", oneOf(...logLevels), "INFO") };

export interface ProgramContext<S extends Settings> {
  readonly config: ConfigOf<S & typeof commonSettings>;
  readonly log: Log;
  readonly clock: Clock;
  /** Ends when the program is told to stop. */
  readonly signal: AbortSignal;
  readonly version: string;
}

/**
 * Runs a program: configuration, log, `main`, then waits. SIGTERM and SIGINT dispose what `main` returned, in order;
 * what is in the kernel stays. An unhandled rejection is logged and ends the process with 1.
 */
export async function runProgram<S extends Settings>(
  name: string,
  _settings: S,
  _main: (context: ProgramContext<S>) => Promise<AsyncDisposable>,
): Promise<void> {
  throw new MeshError("unsupported", `${name} cannot run yet`);
}
