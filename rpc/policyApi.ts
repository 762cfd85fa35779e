import type { ApplyPolicyRequest, PolicyInForce, SitePolicy } from "../api/gen/isthmus/v1/policy.js";
import type { Link } from "../core/peer.js";
import { longestPolicy } from "../identity/policy/policy.js";
import { parseSpiffeId } from "../identity/spiffe.js";
import { checkText } from "./check.js";
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
