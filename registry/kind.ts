import { NetworkService, NetworkServiceEndpoint } from "../api/gen/registry/registry.js";
import { MeshError } from "../core/error.js";
import { matchesEndpoint, matchesService } from "../core/match.js";
import { fromTimestamp, toTimestamp } from "../core/timestamp.js";
import { codec } from "../rpc/codec.js";
import type { Entry } from "./store.js";

/** What a registry has to know of the things that it keeps. A query is such a thing, too: an example of what is wanted. */
export interface Kind<T> {
  /** For people. */
  readonly word: string;
  /** Where its keys begin. */
  readonly prefix: string;
  name(value: T): string;
  /** What it is found by besides its name. A value that matches a query has all of the query's terms. */
  terms(value: T): readonly string[];
  matches(query: T, value: T): boolean;
  encode(value: T): Uint8Array;
  /** Throws "exists" for a record that is none of this kind. */
  decode(entry: Entry): T;
}

/** As what comes over the wire is read: a registry holds as many of them, and their names and labels are the same texts. */
const codecs = {
  service: codec("NetworkService", NetworkService),
  endpoint: codec("NetworkServiceEndpoint", NetworkServiceEndpoint),
};

export const serviceKind: Kind<NetworkService> = {
  word: "network service",
  prefix: "services/",
  name: ({ name }) => name,
  terms: () => [],
  matches: matchesService,
  encode: codecs.service.encode,
  decode: (entry) => record("network service", entry, () => codecs.service.decode(entry.value)),
};

export const endpointKind: Kind<NetworkServiceEndpoint> = {
  word: "endpoint",
  prefix: "endpoints/",
  name: ({ name }) => name,
  terms: endpointTerms,
  matches: matchesEndpoint,
  encode: codecs.endpoint.encode,
  decode: (entry) => {
    const { value, expires } = entry;
    const endpoint = record("endpoint", entry, () => codecs.endpoint.decode(value));
    // After a restart the store gives it a little longer than was written down.
    const written = endpoint.expirationTime === undefined ? 0 : fromTimestamp(endpoint.expirationTime);
    return expires !== undefined && expires > written ? { ...endpoint, expirationTime: toTimestamp(expires) } : endpoint;
  },
};

/** Other programs can write to a store that is shared: what is not readable, or has another's name, is not touched. */
export function record<T extends { readonly name: string }>(word: string, { key }: Entry, decode: () => T): T {
  const unreadable = (cause?: unknown) =>
    new MeshError("exists", `what the store has under ${key} is no ${word} that this registry can read; remove it there`, { cause });
  let value: T;
  try {
    value = decode();
  } catch (error) {
    throw unreadable(error);
  }
  if (value.name !== key.slice(key.indexOf("/") + 1)) throw unreadable();
  return value;
}

/** One term for each service, and one for each label of a service. NUL keeps the parts apart: names have none. */
function endpointTerms({ networkServiceNames, networkServiceLabels }: NetworkServiceEndpoint): readonly string[] {
  const terms = networkServiceNames.map((service) => `s\u0000${service}`);
  for (const [service, { labels }] of Object.entries(networkServiceLabels))
    for (const [key, value] of Object.entries(labels)) terms.push(`l\u0000${service}\u0000${key}\u0000${value}`);
  return terms;
}
