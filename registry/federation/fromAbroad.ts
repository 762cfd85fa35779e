import type { NetworkService, NetworkServiceEndpoint } from "../../api/gen/registry/registry.js";
import { alsoInSite, inSite } from "../../core/siteNames.js";
import { urlFromAbroad } from "../../rpc/abroad.js";
import type { Site } from "./site.js";

/** Under a second name each, and marked, they must still fit into a message. */
const mostServices = 64;
const mostLabels = 100;

/** A service of another site as it is called here. */
export function serviceFrom(service: NetworkService, { name: site }: Pick<Site, "name">): NetworkService {
  return { ...service, name: inSite(service.name, site) };
}

/**
 * An endpoint of another site as it is called here: `echo-1@tokyo`, of the services `echo` and `echo@tokyo`, at a URL where only tokyo's
 * programs are taken. Undefined for one that is no good here: its URL is for its own node (`unix:`), which would be taken for ours; its
 * name has a site already; it has too many services; it says that it is of a segment's node in yet another site.
 */
export function endpointFrom(
  endpoint: NetworkServiceEndpoint,
  { name: site, trustDomain }: Pick<Site, "name" | "trustDomain">,
): NetworkServiceEndpoint | undefined {
  const { name, networkServiceNames: services, networkServiceLabels } = endpoint;
  const url = urlFromAbroad(endpoint.url, trustDomain);
  const labels = Object.values(networkServiceLabels);
  if (url === undefined || [name, ...services].some((one) => one.includes("@"))) return undefined;
  if (services.length > mostServices || labels.length > mostServices) return undefined;
  if (labels.some((one) => Object.keys(one.labels).length > mostLabels)) return undefined;
  if (labels.some((one) => isForeign(one.labels, trustDomain))) return undefined;
  return { ...alsoInSite(endpoint, site), name: inSite(name, site), url };
}

/** Whose tunnel a segment's endpoint speaks of: a site speaks for its own nodes only. */
function isForeign({ id = "" }: Readonly<Record<string, string>>, trustDomain: string): boolean {
  return id.startsWith("spiffe://") && !id.startsWith(`spiffe://${trustDomain}/`);
}
