import { decide } from "./decide.js";
import { type Action, type Asked, actions, type Policy } from "./policy.js";

/** Somebody who must not be locked out, and what for. */
export interface Needs {
  readonly id: string;
  /** For people: "the nsmgr of paris-1". */
  readonly what: string;
  readonly wants: readonly { readonly action: Action /** undefined: any, one is enough. */; readonly service: string | undefined }[];
}

/** What a program of a node cannot do without. The service is the one of forwarders. */
export function needsOf(id: string, program: "nsmgr" | "forwarder", service: string): Needs {
  const monitor = { action: "monitor", service: undefined } as const;
  const wants =
    program === "forwarder"
      ? [{ action: "register", service } as const, { action: "find", service: undefined } as const, monitor]
      : [{ action: "find", service } as const, monitor];
  return { id, what: "a program of a node of this site", wants };
}

/** Whoever applies a policy must still be allowed something. */
export function authorNeeds(id: string, policy: Policy): Needs {
  const may = actions.filter((action) => mayAny(policy, { id, action }));
  return { id, what: "who applies it", wants: may.map((action) => ({ action, service: undefined })) };
}

/** Pure. What the policy would take from them, one sentence for each. */
export function lockedOut(policy: Policy, all: readonly Needs[]): string[] {
  return all.flatMap(({ id, what, wants }) => {
    const lost = wants.filter(({ action, service }) =>
      service === undefined ? !mayAny(policy, { id, action }) : !decide(policy, { id, action, service }).allowed,
    );
    if (lost.length === 0) return [];
    const words = lost.map(({ action, service }) => `${action} ${service === undefined ? "anything" : JSON.stringify(service)}`);
    return [`${id}, ${what}, could no longer ${words.join(" or ")}`];
  });
}

function mayAny({ rules }: Policy, { id, action }: Pick<Asked, "id" | "action">): boolean {
  return rules.some(
    ({ who, may, pods }) => may.includes(action) && Object.keys(pods).length === 0 && who.some((pattern) => pattern.matches(id)),
  );
}
