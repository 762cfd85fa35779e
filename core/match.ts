import type { Match, NetworkService, NetworkServiceEndpoint } from "../api/gen/registry/registry.js";
import { sameMessage } from "./equal.js";

/** An endpoint with the share that its route gives it; 1 unless the route says otherwise. */
export interface WeightedEndpoint {
  readonly endpoint: NetworkServiceEndpoint;
  readonly weight: number;
}

type Labels = Readonly<Record<string, string>>;

/**
 * The endpoints that the service's matches let a client with these labels reach, with their weights.
 * No matches: all. Else the first match decides whose source selector the client has; with `fallthrough` the next one does
 * where it finds none. A match with metadata and no routes finds all. (As in NSM's SDK, `matchutils`.)
 */
export function weightedEndpoints(
  service: NetworkService,
  endpoints: readonly NetworkServiceEndpoint[],
  labels: Labels,
): WeightedEndpoint[] {
  if (service.matches.length === 0) return endpoints.map((endpoint) => ({ endpoint, weight: 1 }));
  for (const match of service.matches) {
    if (!hasLabels(labels, match.sourceSelector, labels)) continue;
    const found = routed(match, service.name, endpoints, labels);
    if (found.length > 0 || !match.fallthrough) return found;
  }
  return [];
}

function routed(match: Match, service: string, endpoints: readonly NetworkServiceEndpoint[], client: Labels): WeightedEndpoint[] {
  if (match.metadata !== undefined && match.routes.length === 0) return endpoints.map((endpoint) => ({ endpoint, weight: 1 }));
  return endpoints.flatMap((endpoint) => {
    const labels = labelsFor(endpoint, service);
    const route = match.routes.find(({ destinationSelector }) => hasLabels(labels, destinationSelector, client));
    return route === undefined ? [] : { endpoint, weight: route.weight || 1 };
  });
}

/** The same without weights, heaviest first. */
export function matchEndpoints(
  service: NetworkService,
  endpoints: readonly NetworkServiceEndpoint[],
  labels: Labels,
): NetworkServiceEndpoint[] {
  return weightedEndpoints(service, endpoints, labels)
    .sort((a, b) => b.weight - a.weight)
    .map(({ endpoint }) => endpoint);
}

/** The labels of an endpoint for one of its services. */
export function labelsFor(endpoint: NetworkServiceEndpoint, service: string): Labels {
  return Object.hasOwn(endpoint.networkServiceLabels, service) ? (endpoint.networkServiceLabels[service]?.labels ?? {}) : {};
}

/** Whether `query`, with "" and [] for anything, finds the service: equal name, equal payload, equal matches. */
export function matchesService(query: NetworkService, service: NetworkService): boolean {
  return (
    (query.name === "" || query.name === service.name) &&
    (query.payload === "" || query.payload === service.payload) &&
    (query.matches.length === 0 || sameMessage(query.matches, service.matches))
  );
}

/** Whether `query` finds the endpoint: equal name, its labels and services a subset, its url contained, same second of expiry. */
export function matchesEndpoint(query: NetworkServiceEndpoint, endpoint: NetworkServiceEndpoint): boolean {
  return (
    (query.name === "" || query.name === endpoint.name) &&
    endpoint.url.includes(query.url) &&
    query.networkServiceNames.every((name) => endpoint.networkServiceNames.includes(name)) &&
    Object.keys(query.networkServiceLabels).every((service) => isSubset(labelsFor(query, service), labelsFor(endpoint, service))) &&
    (query.expirationTime === undefined || query.expirationTime.seconds === endpoint.expirationTime?.seconds)
  );
}

function isSubset(wanted: Labels, labels: Labels): boolean {
  return Object.entries(wanted).every(([key, value]) => own(labels, key) === value);
}

/** Whether `labels` has all of `selector`, whose values may be templates over the client's labels, as `{{.nodeName}}`. */
export function hasLabels(labels: Labels, selector: Labels, client: Labels): boolean {
  return Object.entries(selector).every(([key, value]) => {
    const wanted = filledIn(value, client);
    return wanted !== undefined && own(labels, key) === wanted;
  });
}

/** Undefined where the template names a label that the client does not have: it then matches nothing. */
function filledIn(template: string, client: Labels): string | undefined {
  let missing = false;
  const value = template.replace(/\{\{-?\s*\.([^\s{}]+)\s*-?\}\}/g, (_, name: string) => {
    const label = own(client, name);
    missing ||= label === undefined;
    return label ?? "";
  });
  return missing ? undefined : value;
}

function own(labels: Labels, key: string): string | undefined {
  return Object.hasOwn(labels, key) ? labels[key] : undefined;
}
