import type { ApplyPolicyRequest, PolicyInForce, SitePolicy } from "../api/gen/isthmus/v1/policy.js";
import { MeshError } from "../core/error.js";
import type { Link } from "../core/peer.js";
import type { PolicySource } from "../identity/policy/inForce.js";
import { formatPolicy, longestPolicy } from "../identity/policy/parse.js";
import { ofOneSite, parseSpiffeId } from "../identity/spiffe.js";
import { checkText } from "./check.js";
import { latest } from "./latest.js";
import { limits } from "./limits.js";

/** isthmus.v1.Policy, for the site's administrator. Every failure is a MeshError. */
export interface PolicyApi {
  /** "invalid" for what is no policy, "denied" for one that locks somebody out. */
  apply(request: ApplyPolicyRequest, signal: AbortSignal): Promise<SitePolicy>;
  get(signal: AbortSignal): Promise<SitePolicy>;
}

/** isthmus.v1.PolicyFeed. `link` is absent on a socket without TLS, and for a client. */
export interface PolicyFeedApi {
  /** What is in force, and again after every change, the latest when the reader is slow. */
  watch(signal: AbortSignal, link?: Link): AsyncIterable<PolicyInForce>;
}

export function checkApply({ text, author }: ApplyPolicyRequest): void {
  checkText("the policy", text, longestPolicy);
  checkText("the author", author, limits.url);
  if (author !== "") parseSpiffeId(author);
}

/** Tells what is in force to the programs of the own site: what a site allows is nobody else's business. */
export function policyFeed(source: PolicySource): PolicyFeedApi {
  return {
    async *watch(signal, link) {
      if (link !== undefined && !ofOneSite(link.peer.id, link.self))
        throw new MeshError("denied", `${link.peer.id} is of another site; this site's policy is told to its own programs only`);
      const current = () => ({ text: formatPolicy(source.current.policy), version: source.current.version });
      const listen = (listener: () => void) => source.listen(listener);
      yield* latest({ current, listen }, signal, ({ text, version }) => `${version} ${text}`);
    },
  };
}
