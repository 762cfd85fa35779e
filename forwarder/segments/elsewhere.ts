import type { NetworkServiceEndpoint } from "../../api/gen/registry/registry.js";
import type { Call, Element } from "../../core/chain.js";
import type { Directory } from "../../core/directory.js";
import { MeshError } from "../../core/error.js";
import { membershipOf } from "../../core/segment/membership.js";
import { siteName } from "../../core/siteNames.js";

export interface ElsewhereParts {
  readonly directory: Pick<Directory, "endpointsOf">;
  /** This node's. */
  readonly site: string;
}

/**
 * Refuses ("denied") a segment of other sites, which this one knows by nothing but its members: they are no endpoints to connect to. Comes
 * after what joins segments that are known here.
 */
export function elsewhere({ directory, site }: ElsewhereParts): Element {
  return {
    name: "elsewhere",
    async request(call, next) {
      // An endpoint that was named was chosen before, and nobody looks for others.
      const chosen = call.established || call.connection.networkServiceEndpointName !== "";
      const sites = chosen ? [] : await sitesOfMembers(directory, call);
      if (sites.length === 0) return next.request(call);
      const { local } = siteName(call.connection.networkService);
      throw new MeshError(
        "denied",
        `${local} is a segment of ${sites.join(", ")}, and ${site} does not take part in it; where it was made, apply it with ${site} among its sites (nsmctl create segment ${local} --sites …)`,
      );
    },
  };
}

/** The sites of those who are in it; none where anybody serves it as other services are, or is of this site, or nobody is known. */
async function sitesOfMembers(directory: ElsewhereParts["directory"], { connection, signal }: Call): Promise<string[]> {
  const { networkService } = connection;
  // Whoever cannot be asked now is asked again by what comes next, which says what is wrong.
  const endpoints = await directory.endpointsOf(networkService, signal).catch(() => []);
  const sites = endpoints.map((endpoint) => (isMembership(endpoint, networkService) ? siteName(endpoint.name).site : undefined));
  return sites.every((one) => one !== undefined) ? [...new Set(sites)].sort() : [];
}

/** Any endpoint may have a label that is called as one of ours. */
function isMembership(endpoint: NetworkServiceEndpoint, service: string): boolean {
  const membership = membershipOf(endpoint, service);
  return membership?.kind === "node" || (membership?.kind === "members" && membership.members.length > 0);
}
