import type { Log } from "../core/log.js";
import { difference } from "../kernel/difference.js";
import type { KernelObject, Step, StepFailure } from "../kernel/model.js";
import { idOf } from "./wanted.js";

/** Tells the log what passes do. A refusal that repeats itself is told once. */
export class PassLog {
  readonly #log: Log;
  readonly #refused = new Map<string, string>();
  #unreadable = "";

  constructor(log: Log) {
    this.#log = log;
  }

  /** `wanters` finds out who wants an object; it is asked only where there is something to write. */
  done(steps: readonly Step[], failures: readonly StepFailure[], wanters: () => (object: KernelObject) => string | undefined): void {
    this.#unreadable = "";
    if (this.#refused.size > 0) this.#forget(steps, failures);
    if (steps.length === 0 || !(this.#log.debugs || failures.length > 0)) return;
    const unitOf = wanters();
    for (const step of steps) {
      this.#log.debug(events[step.op], {
        ...about(step, unitOf),
        ...(step.op === "replace" ? { difference: difference(step.value, step.old) } : {}),
      });
    }
    for (const { step, error } of failures) {
      if (this.#refused.get(step.key) === error.message) continue;
      this.#refused.set(step.key, error.message);
      this.#log.warn("kernel refused", { op: step.op, ...about(step, unitOf), error: error.message });
    }
  }

  #forget(steps: readonly Step[], failures: readonly StepFailure[]): void {
    const failed = new Set(failures.map(({ step }) => step));
    for (const step of steps) if (!failed.has(step)) this.#refused.delete(step.key);
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

function about(step: Step, unitOf: (object: KernelObject) => string | undefined) {
  const object = objectOf(step);
  const connection = idOf(unitOf(object) ?? "");
  return { ...(connection !== undefined && { connection }), object: label(step.key, object) };
}

function objectOf(step: Step): KernelObject {
  return step.op === "delete" ? step.old : step.value;
}

/** Without a key of WireGuard. */
function label(key: string, object: KernelObject): string {
  return object.kind === "wireguard-peer" ? `wireguard-peer ${object.device} ${object.allowedIps.join(" ")}` : key;
}
