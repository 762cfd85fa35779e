import type { NetworkService, NetworkServiceEndpoint } from "../../api/gen/registry/registry.js";
import { alsoInSite, inSite } from "../../core/siteNames.js";

/** Under a second name each, and marked, they must still fit into a message. */
const mostServices = 64;
const mostLabels = 100;

/** A service of another site as it is called here. */
export function serviceFrom(service: NetworkService, site: string): NetworkService {
  return { ...service, name: inSite(service.name, site) };
}

/**
 * An endpoint of another site as it is called here: `echo-1@tokyo`, of the services `echo` and `echo@tokyo`. Undefined for one that is no
 * good here: its URL is for its own node (`unix:`), which would be taken for ours; its name has a site already; it has too many services.
 */
export function endpointFrom(endpoint: NetworkServiceEndpoint, site: string): NetworkServiceEndpoint | undefined {
  const { name, url, networkServiceNames: services, networkServiceLabels } = endpoint;
  const labels = Object.values(networkServiceLabels);
  if (!url.startsWith("tcp:") || [name, ...services].some((one) => one.includes("@"))) return undefined;
  if (services.length > mostServices || labels.length > mostServices) return undefined;
  if (labels.some((one) => Object.keys(one.labels).length > mostLabels)) return undefined;
  return { ...alsoInSite(endpoint, site), name: inSite(name, site) };
}
