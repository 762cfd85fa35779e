import { NetworkServiceEndpoint } from "../../api/gen/registry/registry.js";
import { mostClaims, type StickyClaimant, stickyLabels, stickyWordName } from "../../core/segment/stickyWord.js";
import { endpointKind } from "../kind.js";
import type { Write } from "../store.js";
import type { StickyRecord } from "./stickyRecord.js";

/** Nobody dials it; but what has no such URL is of no use to other sites. */
const nowhere = "tcp://sticky.invalid:1";

/** To be written together with the record, so that nobody has a name of which the others of the segment do not hear. */
export function saying(segment: string, name: string, { addresses, claims }: StickyRecord, registryId: string): Write {
  const endpoint = NetworkServiceEndpoint.fromPartial({
    name: stickyWordName(segment, name),
    networkServiceNames: [segment],
    networkServiceLabels: { [segment]: { labels: stickyLabels(registryId, { name, addresses, claims }) } },
    url: nowhere,
    pathIds: [registryId],
  });
  return { op: "put", key: keyOf(segment, name), value: endpointKind.encode(endpoint) };
}

export function sayingNoMore(segment: string, name: string): Write {
  return { op: "delete", key: keyOf(segment, name) };
}

/** With one more claim. One that claims it anew has its place alone: whoever was there before it is told still. */
export function claimedBy(claims: readonly StickyClaimant[], claim: StickyClaimant): StickyClaimant[] {
  return [claim, ...claims.filter(({ id }) => id !== claim.id)].slice(0, mostClaims);
}

function keyOf(segment: string, name: string): string {
  return endpointKind.prefix + stickyWordName(segment, name);
}
