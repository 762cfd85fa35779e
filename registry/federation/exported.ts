import type { NetworkService, NetworkServiceEndpoint } from "../../api/gen/registry/registry.js";
import { sameMessage } from "../../core/equal.js";
import type { Found, Registry, RegistryContext } from "../../rpc/registry.js";
import { until } from "../../rpc/signals.js";

/** A service as another site sees it. How it came to be is this site's own business. */
export function serviceAbroad(service: NetworkService): NetworkService {
  return { ...service, pathIds: [] };
}

/**
 * An endpoint as another site sees it: without its expiry, for clocks of sites differ, and a watch that tells every renewal would be busy
 * with nothing. That it is gone is told.
 */
export function endpointAbroad(endpoint: NetworkServiceEndpoint): NetworkServiceEndpoint {
  return { ...endpoint, expirationTime: undefined, pathIds: [] };
}

/** What another site finds in ours, as far as the policy shows it, and what changes of that; until `life` ends. */
export async function* foundAbroad<T extends { readonly name: string }>(
  parts: { readonly own: Registry<T>; readonly abroad: (value: T) => T; readonly life: AbortSignal },
  query: T,
  options: { readonly watch: boolean },
  context: RegistryContext,
): AsyncGenerator<Found<T>> {
  const told = new Map<string, T>();
  for await (const { value, deleted } of until(parts.own.find(query, options, context), parts.life)) {
    const seen = parts.abroad(value);
    if (deleted) {
      if (told.delete(value.name)) yield { value: seen, deleted };
    } else if (!sameMessage(seen, told.get(value.name))) {
      if (options.watch) told.set(value.name, seen);
      yield { value: seen, deleted };
    }
  }
}
