import type { NetworkService, NetworkServiceEndpoint } from "../../api/gen/registry/registry.js";
import { alsoInSite, inSite, siteName } from "../../core/siteNames.js";
import type { Wish } from "./interest.js";

/** Whom a query is for. */
export type Asked<T> =
  /** The own site alone; what it answers is given back as it was asked for. */
  | { readonly of: "own"; readonly query: T; readonly back: (value: T) => T }
  /** One other site. */
  | { readonly of: "site"; readonly site: string; readonly wishes: readonly Wish[] }
  /** The own site first, and all others. */
  | { readonly of: "all"; readonly wishes: readonly Wish[] }
  /** Nobody can have it: it names two sites. */
  | { readonly of: "nobody" };

/** What `own` understands by a query for services. */
export function askedService(query: NetworkService, own: string): Asked<NetworkService> {
  const { local, site } = siteName(query.name);
  if (site === undefined) return { of: "all", wishes: local === "" ? [] : [{ service: local }] };
  if (site !== own) return { of: "site", site, wishes: [{ service: local }] };
  return { of: "own", query: { ...query, name: local }, back: (service) => ({ ...service, name: inSite(service.name, own) }) };
}

/**
 * What `own` understands by a query for endpoints. A plain name of an endpoint, a URL or labels alone mean the own site: nothing there
 * says what to ask others for.
 */
export function askedEndpoint(query: NetworkServiceEndpoint, own: string): Asked<NetworkServiceEndpoint> {
  const name = siteName(query.name);
  const services = query.networkServiceNames.map(siteName);
  const sites = new Set([name, ...services].flatMap(({ site }) => site ?? []));
  const [site, ...more] = sites;
  if (more.length > 0) return { of: "nobody" };
  if (site === own) {
    const plain = { ...query, name: name.local, networkServiceNames: services.map(({ local }) => local) };
    return { of: "own", query: plain, back: (endpoint) => ({ ...alsoInSite(endpoint, own), name: query.name || endpoint.name }) };
  }
  const wishes: Wish[] = name.local === "" ? services.map(({ local }) => ({ service: local })) : [{ endpoint: name.local }];
  if (site !== undefined) return { of: "site", site, wishes };
  if (name.local !== "" || (services.length === 0 && !isWhole(query))) return { of: "own", query, back: (endpoint) => endpoint };
  return { of: "all", wishes };
}

function isWhole({ url, networkServiceLabels }: NetworkServiceEndpoint): boolean {
  return url === "" && Object.keys(networkServiceLabels).length === 0;
}
