/** What a policy can allow. */
export const actions = ["register", "find", "request", "monitor"] as const;
export type Action = (typeof actions)[number];

/** Characters of a policy file; what a site of hundreds of rules needs. */
export const longestPolicy = 128 * 1024;

/** Part of a rule as it is written, and what it means. */
export interface Pattern {
  readonly text: string;
  matches(value: string): boolean;
}

/** Allows what matches all of its parts. */
export interface Rule {
  /** As people call it: `rule 2 (cameras)`. */
  readonly title: string;
  readonly name?: string | undefined;
  /** SPIFFE ids; one of them is enough. */
  readonly who: readonly Pattern[];
  readonly may: readonly Action[];
  /** Names of network services; one of them is enough. */
  readonly services: readonly Pattern[];
  /** Of these names, the ones that it is not about. */
  readonly except: readonly Pattern[];
  /** Labels that the pod must have, all of them; none for whoever asks. */
  readonly pods: Readonly<Record<string, Pattern>>;
}

/** What no rule allows is denied. */
export interface Policy {
  readonly rules: readonly Rule[];
}

export type Labels = Readonly<Record<string, string>>;

/** One question to a policy. */
export interface Asked {
  /** Who wants it: a SPIFFE id. Its site is its trust domain. */
  readonly id: string;
  /** Of the pod that it is, as its node's nsmgr has signed them. */
  readonly podLabels?: Labels | undefined;
  readonly action: Action;
  /** The network service that it is about. */
  readonly service: string;
}

/** What people call the rule at that place. */
export function titleOf(index: number, name: string | undefined): string {
  return `rule ${index + 1}${name === undefined ? "" : ` (${name})`}`;
}

/** Several policies as one: what any of them allows. */
export function joined(policies: readonly Policy[]): Policy {
  return { rules: policies.flatMap(({ rules }) => rules).map((rule, index) => ({ ...rule, title: titleOf(index, rule.name) })) };
}
