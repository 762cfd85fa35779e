import { MeshError } from "../core/error.js";
import type { PolicySource } from "../identity/policy/inForce.js";
import { formatPolicy } from "../identity/policy/parse.js";
import { ofOneSite } from "../identity/spiffe.js";
import { latest } from "./latest.js";
import type { PolicyFeedApi } from "./policyApi.js";

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
