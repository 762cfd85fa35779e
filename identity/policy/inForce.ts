import { parsePolicy } from "./parse.js";
import type { Policy } from "./policy.js";

/** A policy as it holds now. */
export interface InForce {
  readonly policy: Policy;
  /** As a file. */
  readonly text: string;
  /** Counts what was applied; 0 is the one that a fresh site has. */
  readonly version: number;
}

/** Who knows the policy, and tells when it changes. */
export interface PolicySource {
  readonly current: InForce;
  /** Is told after every change, until disposed. */
  listen(listener: () => void): Disposable;
}

/** The policy of a fresh site: its own identities may do everything, nobody else anything. */
export function builtIn(trustDomain: string): InForce {
  const text = `# The policy of a fresh site: its own may do everything, nobody else anything.
allow:
  - name: the site's own
    who: [${trustDomain}]
    may: [register, find, request, monitor]
    services: ["*"]
`;
  return { policy: parsePolicy(text, "the policy of a fresh site"), text, version: 0 };
}

/** Holds what is in force, and who wants to know. */
export class HeldPolicy implements PolicySource {
  #current: InForce;
  readonly #listeners = new Set<() => void>();

  constructor(first: InForce) {
    this.#current = first;
  }

  get current(): InForce {
    return this.#current;
  }

  /** False when nothing is different. */
  set(next: InForce): boolean {
    const same = next.text === this.#current.text && next.version === this.#current.version;
    this.#current = next;
    if (!same) for (const listener of [...this.#listeners]) listener();
    return !same;
  }

  listen(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }
}
