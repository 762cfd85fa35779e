import type { Log } from "../core/log.js";
import { difference } from "../kernel/difference.js";
import type { Step, StepFailure } from "../kernel/model.js";

/** Tells the log what passes do. A refusal that repeats itself is told once. */
export class PassLog {
  readonly #log: Log;
  readonly #refused = new Map<string, string>();
  #unreadable = "";

  constructor(log: Log) {
    this.#log = log;
  }

  done(steps: readonly Step[], failures: readonly StepFailure[]): void {
    this.#unreadable = "";
    const failed = new Set(failures.map(({ step }) => step));
    for (const step of steps) {
      this.#log.debug(events[step.op], {
        object: label(step),
        ...(step.op === "replace" ? { difference: difference(step.value, step.old) } : {}),
      });
      if (!failed.has(step)) this.#refused.delete(step.key);
    }
    for (const { step, error } of failures) {
      if (this.#refused.get(step.key) === error.message) continue;
      this.#refused.set(step.key, error.message);
      this.#log.warn("kernel refused", { op: step.op, object: label(step), error: error.message });
    }
  }

  unreadable(error: Error): void {
    if (this.#unreadable === error.message) return;
    this.#unreadable = error.message;
    this.#log.error("kernel not readable", { error: error.message });
  }
}

const events = { add: "kernel lacks", replace: "kernel differs", delete: "kernel has too much" } as const satisfies Record<
  Step["op"],
  string
>;

/** A step's object, without a key of WireGuard. */
function label(step: Step): string {
  const object = step.op === "delete" ? step.old : step.value;
  return object.kind === "wireguard-peer" ? `wireguard-peer ${object.device} ${object.allowedIps.join(" ")}` : step.key;
}
