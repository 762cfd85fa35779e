import type { NetworkServiceEndpoint } from "../../api/gen/registry/registry.js";
import { MeshError } from "../../core/error.js";
import { labelsFor } from "../../core/match.js";
import type { Hops } from "../hops.js";

/**
 * Of an endpoint of a segment, others learn where to send its packets, by the SPIFFE id in its label `id`. Throws "denied" where that is
 * not who registers it, known for sure: nobody can say that another's tunnel is its own, or speak for another's members.
 */
export function mustSayItself(
  endpoint: NetworkServiceEndpoint,
  { ids, proven }: Pick<Hops, "ids" | "proven">,
  isSegment: (service: string) => boolean,
): void {
  const [registrant = ""] = ids;
  for (const service of endpoint.networkServiceNames) {
    if (!isSegment(service)) continue;
    const { id = "" } = labelsFor(endpoint, service);
    if (proven && registrant !== "" && id === registrant) continue;
    const who = proven ? registrant || "a caller without a token" : `${registrant}, which has not proven it,`;
    throw new MeshError(
      "denied",
      `${service} is a segment, so its endpoint ${endpoint.name} must have the label id with the SPIFFE id of who registers it; ${who} says ${id === "" ? "none" : id}`,
    );
  }
}
