import type { Asking } from "../../core/asking.js";
import type { Audit } from "../../core/audit.js";
import { MeshError } from "../../core/error.js";
import { decide } from "./decide.js";
import type { PolicySource } from "./inForce.js";
import type { Action } from "./policy.js";

export interface GateParts {
  readonly source: PolicySource;
  readonly audit: Audit;
}

/** The policy in force, asked. */
export class Gate {
  readonly #parts: GateParts;

  constructor(parts: GateParts) {
    this.#parts = parts;
  }

  /** Throws "denied" unless everybody who asks may; the denial is in the audit log. */
  check({ ids, podLabels }: Asking, action: Action, service: string): void {
    for (const id of ids.length === 0 ? [""] : ids) {
      const decision = decide(this.#parts.source.current.policy, { id, podLabels, action, service });
      if (decision.allowed) continue;
      const error = new MeshError("denied", decision.missing);
      this.#parts.audit.denied({ who: id, what: action, on: service, sentence: decision.missing }, error);
      throw error;
    }
  }

  /** Writes down that something was left out of an answer. */
  hidden(id: string, service: string, action: Action = "find"): void {
    const decision = decide(this.#parts.source.current.policy, { id, action, service });
    if (!decision.allowed) this.#parts.audit.denied({ who: id, what: action, on: service, sentence: decision.missing });
  }

  /** The same as yes or no, and in no log: for what is left out of an answer. */
  allows(id: string, action: Action, service: string): boolean {
    return decide(this.#parts.source.current.policy, { id, action, service }).allowed;
  }

  /** Calls `listener` after a change of what these ids may do. */
  onChange(id: string, action: Action, listener: () => void): Disposable {
    const { source } = this.#parts;
    const said = () =>
      JSON.stringify(source.current.policy.rules.filter((rule) => rule.may.includes(action) && rule.who.some((who) => who.matches(id))));
    let before = said();
    return source.listen(() => {
      const now = said();
      if (now !== before) listener();
      before = now;
    });
  }
}
