import type { Clock } from "../core/clock.js";

/** What a command may touch, handed in so that a test can look at it. */
export interface Context {
  /** Text for the answer (standard output). Adds no newline. */
  out(text: string): void;
  /** Text for people (standard error): progress and failures. Adds no newline. */
  err(text: string): void;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  /** Ends when the user has had enough (Ctrl-C). */
  readonly signal: AbortSignal;
}

/** Options that every command takes, wherever they stand on the line. */
export interface GlobalOptions {
  readonly prefix: string;
  readonly node?: string;
  readonly connectTo?: string;
}
