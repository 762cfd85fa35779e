import type { NetworkService, NetworkServiceEndpoint } from "../api/gen/registry/registry.js";

/** An endpoint with the share that its route gives it; 1 unless the route says otherwise. */
export interface WeightedEndpoint {
  readonly endpoint: NetworkServiceEndpoint;
  readonly weight: number;
}

type Labels = Readonly<Record<string, string>>;

/** The endpoints that the service's matches let a client with these labels reach, with their weights. */
export function weightedEndpoints(
  _service: NetworkService,
  _endpoints: readonly NetworkServiceEndpoint[],
  _labels: Labels,
): WeightedEndpoint[] {
  throw new Error("soon");
}

/** The same without weights, heaviest first. */
export function matchEndpoints(
  _service: NetworkService,
  _endpoints: readonly NetworkServiceEndpoint[],
  _labels: Labels,
): NetworkServiceEndpoint[] {
  throw new Error("soon");
}

/** Whether `query`, with "" and [] for anything, finds the service: equal name, equal payload, equal matches. */
export function matchesService(_query: NetworkService, _service: NetworkService): boolean {
  throw new Error("soon");
}

/** Whether `query` finds the endpoint: equal name, its labels and services a subset, its url contained, same second of expiry. */
export function matchesEndpoint(_query: NetworkServiceEndpoint, _endpoint: NetworkServiceEndpoint): boolean {
  throw new Error("soon");
}

/** Whether `labels` has all of `selector`, whose values may be templates over the client's labels, as `{{.nodeName}}`. */
export function hasLabels(_labels: Labels, _selector: Labels, _client: Labels): boolean {
  throw new Error("soon");
}
