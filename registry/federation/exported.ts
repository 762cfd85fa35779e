import type { NetworkService, NetworkServiceEndpoint } from "../../api/gen/registry/registry.js";
import { sameMessage } from "../../core/equal.js";
import { urlAbroad } from "../../rpc/abroad.js";
import type { Found, Registry, RegistryContext } from "../../rpc/registry.js";
import { until } from "../../rpc/signals.js";

/** A service as another site sees it. How it came to be is this site's own business. */
export function serviceAbroad(service: NetworkService): NetworkService {
  return { ...service, pathIds: [] };
}

/**
 * An endpoint as another site sees it, at its external URL; undefined where it has none. Without its expiry, for clocks of sites differ,
 * and a watch that tells every renewal would be busy with nothing. That it is gone is told.
 */
export function endpointAbroad(endpoint: NetworkServiceEndpoint): NetworkServiceEndpoint | undefined {
  const url = urlAbroad(endpoint.url);
  return url === undefined ? undefined : { ...endpoint, url, expirationTime: undefined, pathIds: [] };
}

/** What another site finds in ours, as far as the policy shows it, and what changes of that; until `life` ends. */
export async function* foundAbroad<T extends { readonly name: string }>(
  parts: { readonly own: Registry<T>; readonly abroad: (value: T) => T | undefined; readonly life: AbortSignal },
  query: T,
  options: { readonly watch: boolean },
  context: RegistryContext,
): AsyncGenerator<Found<T>> {
  const told = new Map<string, T>();
  for await (const { value, deleted } of until(parts.own.find(query, options, context), parts.life)) {
    const seen = deleted ? undefined : parts.abroad(value);
    const before = told.get(value.name);
    if (seen === undefined) {
      if (told.delete(value.name) && before !== undefined) yield { value: before, deleted: true };
    } else if (!sameMessage(seen, before)) {
      if (options.watch) told.set(value.name, seen);
      yield { value: seen, deleted: false };
    }
  }
}
