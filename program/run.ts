import { stat } from "node:fs/promises";
import type { Clock } from "../core/clock.js";
import { asMeshError } from "../core/error.js";
import type { Log } from "../core/log.js";
import type { Sinks } from "../core/observed.js";
import { ownCheckout } from "./checkout.js";
import { systemClock } from "./clock.js";
import { type ConfigOf, loadConfig, type Settings, setting, usage } from "./config.js";
import { createLog, logLevels } from "./log.js";
import { restOf } from "./rest.js";
import { openSinks, sinkSettings } from "./sinks.js";
import { oneOf } from "./values.js";

/** What every program can be told. */
export const commonSettings = { logLevel: setting("LOG_LEVEL", "how much is logged", oneOf(...logLevels), "INFO") };

export interface ProgramContext<S extends Settings> {
  readonly config: ConfigOf<S & typeof commonSettings>;
  readonly log: Log;
  readonly clock: Clock;
  readonly sinks: Sinks;
  /** Ends when the program is told to stop. */
  readonly signal: AbortSignal;
  readonly version: string;
}

/** How long a program may take to stop, and to end by itself after that. */
const stopMs = 10_000;

/**
 * Runs a program: configuration, log, `main`, then waits. SIGTERM and SIGINT dispose what `main` returned, in order;
 * what is in the kernel stays. An unhandled rejection is logged and ends the process with 1; wrong configuration with 2.
 */
export async function runProgram<S extends Settings>(
  name: string,
  settings: S,
  main: (context: ProgramContext<S>) => Promise<AsyncDisposable>,
): Promise<void> {
  const sinkOptions = sinkSettings(name);
  const all = { ...commonSettings, ...sinkOptions, ...settings };
  const version = ownCheckout()?.version ?? "unknown";
  const argv = process.argv.slice(2);
  if (argv.includes("--help")) return void process.stdout.write(usage(all, name));
  if (argv.includes("--version")) return void process.stdout.write(`${name} ${version}\n`);
  const config = configure(all, name, argv) as ConfigOf<S & typeof commonSettings>;
  const log = createLog({ name, level: (config as ConfigOf<typeof commonSettings>).logLevel });
  guard(log);
  await warmThreadPool();
  const serviceName = (config as { readonly name?: string }).name ?? name;
  const open = await openSinks(config as unknown as ConfigOf<typeof sinkOptions>, { serviceName, version, log, clock: systemClock });
  const stopping = new AbortController();
  const told = nextSignal(stopping, log);
  let running: AsyncDisposable;
  try {
    // Neither timers nor channels that connect keep the process alive, and until it listens nothing else does.
    using _awake = awake();
    running = await main({ config, log, clock: systemClock, sinks: open.sinks, signal: stopping.signal, version });
  } catch (error) {
    if (stopping.signal.aborted) return process.exit(0);
    log.error("cannot start", { reason: asMeshError(error).message, code: asMeshError(error).code });
    // What was half started would keep the process alive.
    return process.exit(1);
  }
  log.info("started", { version, pid: process.pid });
  using _rest = restOf(systemClock);
  await told;
  await stop([running, open], log);
}

/** An open port keeps the process alive. */
function awake(): Disposable {
  const { port1, port2 } = new MessageChannel();
  port1.ref();
  return {
    [Symbol.dispose]() {
      port1.close();
      port2.close();
    },
  };
}

function configure<S extends Settings>(settings: S, programName: string, argv: readonly string[]): ConfigOf<S> {
  try {
    return loadConfig(settings, { env: process.env, argv, programName });
  } catch (error) {
    process.stderr.write(`${programName}: ${asMeshError(error).message}\n`);
    return process.exit(2);
  }
}

/**
 * The thread pool's threads all start at its first use and keep the network namespace of that moment for ever;
 * so that is now, while the process is in its own.
 */
async function warmThreadPool(): Promise<void> {
  await stat("/");
}

function guard(log: Log): void {
  const fatal = (event: string) => (error: unknown) => {
    log.error(event, { error });
    process.exit(1);
  };
  process.on("unhandledRejection", fatal("unhandled rejection"));
  process.on("uncaughtException", fatal("uncaught exception"));
}

/** The first SIGTERM or SIGINT; a second one ends the process at once. */
function nextSignal(stopping: AbortController, log: Log): Promise<void> {
  return new Promise((resolve) => {
    const told = (signal: NodeJS.Signals) => {
      if (stopping.signal.aborted) process.exit(1);
      log.info("stopping", { signal });
      stopping.abort();
      // A timer does not keep the process alive: one that stops in time ends before this.
      systemClock.after(stopMs, () => {
        log.warn("did not stop in time", { ms: stopMs });
        process.exit(1);
      });
      resolve();
    };
    process.on("SIGTERM", told);
    process.on("SIGINT", told);
  });
}

async function stop(running: readonly AsyncDisposable[], log: Log): Promise<void> {
  try {
    for (const one of running) await one[Symbol.asyncDispose]();
    log.info("stopped");
  } catch (error) {
    log.error("did not stop cleanly", { error });
    process.exitCode = 1;
  }
}
