import type { Connection } from "../api/gen/connection/connection.js";
import type { NetworkService, NetworkServiceEndpoint } from "../api/gen/registry/registry.js";
import type { Directory } from "./directory.js";
import { MeshError } from "./error.js";
import { hasLabels, labelsFor, type WeightedEndpoint, weightedEndpoints } from "./match.js";
import { nearest } from "./nearest.js";
import { selectorOf } from "./selector.js";
import { inSite, siteName } from "./siteNames.js";

/** How many endpoints an error names. */
const named = 5;

/** The service of that name. "not-found" names those whose names are nearest. */
export async function serviceNamed(directory: Directory, name: string, signal: AbortSignal): Promise<NetworkService> {
  if (name === "") throw new MeshError("invalid", "the request names no network service");
  const service = await directory.service(name, signal);
  if (service !== undefined) return service;
  const near = nearest(name, await directory.serviceNames(signal));
  const hint = near.length > 0 ? `did you mean ${near.map(quote).join(" or ")}?` : "see `nsmctl get services` for those that are";
  throw new MeshError("not-found", `nobody serves a network service named ${quote(name)}; ${hint}`);
}

/** Refuses ("not-found", as NSM's registry finds nothing then) a service that carries something else than the client asked for. */
export function mustCarry(service: NetworkService, payload: string): void {
  if (payload === "" || service.payload === "" || payload === service.payload) return;
  throw new MeshError(
    "not-found",
    `the network service ${quote(service.name)} carries ${service.payload}, not ${payload}; ask for that payload, or for none`,
  );
}

/** Refuses an endpoint of another site where the service of that name carries something else. */
export async function mustBeCarried(directory: Directory, service: NetworkService, endpoint: string, signal: AbortSignal): Promise<void> {
  const { site } = siteName(endpoint);
  const carried = await carriedBy(directory, service, site, signal);
  if (carried === service.payload) return;
  throw new MeshError(
    "no-endpoint",
    `${quote(service.name)} carries ${service.payload}, and the endpoint ${quote(endpoint)} ${carried ?? "what nobody knows"}; ask for ${quote(inSite(service.name, site ?? ""))}`,
  );
}

/** The endpoint of that exact name. "no-endpoint" where it is not registered (any more). */
export async function endpointNamed(directory: Directory, name: string, signal: AbortSignal): Promise<NetworkServiceEndpoint> {
  const endpoint = await directory.endpoint(name, signal);
  if (endpoint !== undefined) return endpoint;
  throw new MeshError("no-endpoint", `the endpoint ${quote(name)} is not registered (any more)`);
}

/**
 * Refuses ("no-endpoint") an endpoint that serves something else: who may ask for one service must not get another by naming its
 * endpoint.
 */
export function mustServe({ name, networkServiceNames: served }: NetworkServiceEndpoint, service: string): void {
  if (service === "" || served.length === 0 || served.includes(service)) return;
  throw new MeshError("no-endpoint", `the endpoint ${quote(name)} does not serve ${quote(service)}; it serves ${served.join(", ")}`);
}

/**
 * All endpoints that this connection's client may reach; at least one. "no-endpoint" says which labels there were, or that other sites
 * have a service of that name which carries something else: theirs are never among them.
 */
export async function candidatesFor(
  directory: Directory,
  service: NetworkService,
  connection: Connection,
  signal: AbortSignal,
): Promise<WeightedEndpoint[]> {
  const client = connection.labels;
  const endpoints = await directory.endpointsOf(service.name, signal);
  if (endpoints.length === 0) throw new MeshError("no-endpoint", `no endpoint serves ${quote(service.name)} at the moment`);
  const selector = service.matches.length === 0 ? selectorOf(connection) : {};
  const candidates = weightedEndpoints(service, endpoints, client).filter(({ endpoint }) =>
    hasLabels(labelsFor(endpoint, service.name), selector, client),
  );
  if (candidates.length > 0) return await ofOnePayload(directory, service, candidates, signal);
  const there = endpoints.slice(0, named).map((endpoint) => `${endpoint.name} has ${labelled(labelsFor(endpoint, service.name))}`);
  const more = endpoints.length > named ? `, and ${endpoints.length - named} more` : "";
  throw new MeshError(
    "no-endpoint",
    `no endpoint of ${quote(service.name)} matches a client with the labels ${labelled(client)}; ${there.join(", ")}${more}`,
  );
}

async function ofOnePayload(
  directory: Directory,
  service: NetworkService,
  candidates: readonly WeightedEndpoint[],
  signal: AbortSignal,
): Promise<WeightedEndpoint[]> {
  const sites = new Map<string | undefined, Promise<string | undefined>>();
  const judged = await Promise.all(
    candidates.map(async (one) => {
      const { site } = siteName(one.endpoint.name);
      const asked = sites.get(site) ?? carriedBy(directory, service, site, signal);
      sites.set(site, asked);
      return { one, carried: await asked };
    }),
  );
  const fitting = judged.filter(({ carried }) => carried === service.payload).map(({ one }) => one);
  if (fitting.length > 0) return fitting;
  const others = judged.slice(0, named).map(({ one, carried }) => `${one.endpoint.name} carries ${carried ?? "what nobody knows"}`);
  throw new MeshError(
    "no-endpoint",
    `${quote(service.name)} carries ${service.payload}, and no endpoint of it does: ${others.join(", ")}; ask for the service of that site, ${quote(`${service.name}@SITE`)}, for what it carries`,
  );
}

/**
 * What endpoints of that site carry that were found under this service's name: it may have one of that name which is quite another.
 * Undefined where that is not known.
 */
async function carriedBy(
  directory: Directory,
  service: NetworkService,
  site: string | undefined,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (service.payload === "" || site === undefined || siteName(service.name).site !== undefined) return service.payload;
  try {
    return (await directory.service(inSite(service.name, site), signal))?.payload;
  } catch (error) {
    if (signal.aborted) throw error;
    return undefined;
  }
}

/** Labels as people write them. */
export function labelled(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  return pairs.length === 0 ? "(none)" : pairs.sort().join(",");
}

function quote(name: string): string {
  return JSON.stringify(name);
}
