import type { Asking } from "../../core/asking.js";
import type { Audit } from "../../core/audit.js";
import { MeshError } from "../../core/error.js";
import { siteName } from "../../core/siteNames.js";
import { decide, permits } from "./decide.js";
import type { PolicySource } from "./inForce.js";
import type { Action, Policy, Rule } from "./policy.js";

export interface GateParts {
  readonly source: PolicySource;
  readonly audit: Audit;
  /** The own one: `echo@paris` is `echo` in paris, and no way around what is said of that. */
  readonly site: string;
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
      const decision = decide(this.#policy, { id, podLabels, action, service: this.#plain(service) });
      if (decision.allowed) continue;
      const error = new MeshError("denied", decision.missing);
      this.#parts.audit.denied({ who: id, what: action, on: service, sentence: decision.missing }, error);
      throw error;
    }
  }

  /** Writes down that something was left out of an answer. */
  hidden(id: string, service: string, action: Action = "find"): void {
    const decision = decide(this.#policy, { id, action, service: this.#plain(service) });
    if (!decision.allowed) this.#parts.audit.denied({ who: id, what: action, on: service, sentence: decision.missing });
  }

  /** The same as yes or no, and in no log: for what is left out of an answer. */
  allows(id: string, action: Action, service: string): boolean {
    return permits(this.#policy, { id, action, service: this.#plain(service) });
  }

  /** Whether it may with every service there is: then nothing has to be looked at one by one. */
  allowsAll(id: string, action: Action): boolean {
    return this.#rulesFor(id, action).some(
      ({ services, except, pods }) => services.some(({ text }) => text === "*") && except.length === 0 && Object.keys(pods).length === 0,
    );
  }

  /** Whether any rule says that it may, with whatever service. */
  allowsSome(id: string, action: Action): boolean {
    return this.#rulesFor(id, action).length > 0;
  }

  /** Calls `listener` after a change of what these ids may do. */
  onChange(id: string, action: Action, listener: () => void): Disposable {
    const { source } = this.#parts;
    const said = () => JSON.stringify(this.#rulesFor(id, action));
    let before = said();
    return source.listen(() => {
      const now = said();
      if (now !== before) listener();
      before = now;
    });
  }

  get #policy(): Policy {
    return this.#parts.source.current.policy;
  }

  #plain(service: string): string {
    const { local, site } = siteName(service);
    return site === this.#parts.site ? local : service;
  }

  #rulesFor(id: string, action: Action): readonly Rule[] {
    return this.#policy.rules.filter(({ may, who }) => may.includes(action) && who.some(({ matches }) => matches(id)));
  }
}
