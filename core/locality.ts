import type { NetworkServiceEndpoint } from "../api/gen/registry/registry.js";
import type { Directory } from "./directory.js";
import { asMeshError } from "./error.js";
import type { Log } from "./log.js";
import { labelsFor } from "./match.js";
import { siteName } from "./siteNames.js";
import { isStale } from "./stale.js";

/** How far away an endpoint is: 0 this node, 1 this site, 2 elsewhere, 3 where nobody answers for it at the moment. */
export type Distance = (endpoint: NetworkServiceEndpoint) => number;

/** Measures the distance of endpoints among which one is to be chosen. */
export type Locality = (endpoints: readonly NetworkServiceEndpoint[], signal: AbortSignal) => Promise<Distance>;

interface Parts {
  readonly directory: Directory;
  /** The network service of forwarders: each says its site, and is found under the url of its node's nsmgr. */
  readonly service: string;
  readonly site: string;
  readonly log: Log;
}

/**
 * An endpoint's site is that of the forwarder that has the same nsmgr: what an endpoint says of itself would let anybody pretend to be
 * near, and NSM's endpoints say nothing. Whose site nobody knows is elsewhere.
 */
export function bySite({ directory, service, site, log }: Parts): Locality {
  const urlsHere = async (signal: AbortSignal): Promise<ReadonlySet<string>> => {
    try {
      const forwarders = await directory.endpointsOf(service, signal);
      return new Set(forwarders.filter((forwarder) => labelsFor(forwarder, service).site === site).map(({ url }) => url));
    } catch (error) {
      if (signal.aborted) throw error;
      log.debug("sites of endpoints not known", { error: asMeshError(error).message });
      return new Set();
    }
  };
  return async (endpoints, signal) => {
    const away = endpoints.filter((endpoint) => !isHere(endpoint));
    const here = away.length > 1 ? await urlsHere(signal) : new Set<string>();
    return (endpoint) => (isHere(endpoint) ? 0 : here.has(endpoint.url) && isOfSite(endpoint) ? 1 : isStale(endpoint) ? 3 : 2);
  };
}

/** One of another site says of itself which: whatever its url is, it is not here. */
function isOfSite({ name }: NetworkServiceEndpoint): boolean {
  return siteName(name).site === undefined;
}

/** The node's own nsmgr gives its endpoints the url at which only this node reaches them. */
function isHere({ url }: NetworkServiceEndpoint): boolean {
  return url.startsWith("unix:");
}
