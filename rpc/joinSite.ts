import type { JoinFederationRequest, SiteInfo } from "../api/gen/isthmus/v1/site.js";
import type { Clock } from "../core/clock.js";
import { joinerWith, signedBy } from "../identity/ca/joiner.js";
import type { SiteToken } from "../identity/ca/siteToken.js";
import { generateKey } from "../identity/keys.js";
import { Caller } from "./caller.js";
import { GrpcTransport } from "./grpc.js";
import { federationMethods } from "./methods.js";

const dialTimeoutMs = 5_000;
const patienceMs = 15_000;

/**
 * Says to the registry that made the token who joins. Neither trusts the other yet: that one must be signed by the authority which the
 * token names, and it lets in who knows the token's secret.
 */
export function siteJoiner(clock: Clock): (token: SiteToken, request: JoinFederationRequest, signal: AbortSignal) => Promise<SiteInfo> {
  return async ({ url, authority }, request, signal) => {
    const name = `the registry of ${request.site?.name}`;
    const identity = joinerWith(generateKey().privateKey, { name, clock, trust: signedBy(authority, clock.now()) });
    const expect = () => ({ matches: () => true, what: "a registry" });
    await using transport = new GrpcTransport({ clock, dialTimeoutMs, identity, expect });
    return await new Caller(transport).unary(url, federationMethods.join, request, { signal, patienceMs });
  };
}
