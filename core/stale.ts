import type { NetworkServiceEndpoint } from "../api/gen/registry/registry.js";

/** A label that a registry gives the endpoints of a site that does not answer at the moment: they are what was known of it last. */
const STALE = "isthmus.stale";

/** The same endpoint, marked. */
export function stale(endpoint: NetworkServiceEndpoint): NetworkServiceEndpoint {
  const labels = endpoint.networkServiceNames.map((service) => {
    const own = endpoint.networkServiceLabels[service]?.labels;
    return [service, { labels: { ...own, [STALE]: "true" } }] as const;
  });
  return { ...endpoint, networkServiceLabels: { ...endpoint.networkServiceLabels, ...Object.fromEntries(labels) } };
}

export function isStale({ networkServiceLabels }: NetworkServiceEndpoint): boolean {
  return Object.values(networkServiceLabels).some(({ labels }) => labels[STALE] === "true");
}
