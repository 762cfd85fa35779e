import type { NetworkService, NetworkServiceEndpoint } from "../../api/gen/registry/registry.js";
import { sameMessage } from "../../core/equal.js";
import type { Found, Registry, RegistryContext } from "../../rpc/registry.js";
import { until } from "../../rpc/signals.js";

/** Whether other sites may know of a service. */
export type ExportRule = (service: string) => boolean;

/** Names, or patterns in which `*` stands for anything. `home` are services that never leave their site. */
export function exportRule(patterns: readonly string[], home: readonly string[]): ExportRule {
  const forms = patterns.map((pattern) => new RegExp(`^${pattern.replace(/[.+?^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*")}$`));
  return (service) => !home.includes(service) && forms.some((form) => form.test(service));
}

/** A service as another site sees it; undefined where it does not. How it came to be is this site's own business. */
export function serviceAbroad(service: NetworkService, exports: ExportRule): NetworkService | undefined {
  return exports(service.name) ? { ...service, pathIds: [] } : undefined;
}

/**
 * An endpoint as another site sees it, with those of its services that are exported; undefined where none is. Without its expiry: clocks
 * of sites differ, and a watch that tells every renewal would be busy with nothing. That it is gone is told.
 */
export function endpointAbroad(endpoint: NetworkServiceEndpoint, exports: ExportRule): NetworkServiceEndpoint | undefined {
  const names = endpoint.networkServiceNames.filter(exports);
  if (names.length === 0) return undefined;
  const labels = Object.entries(endpoint.networkServiceLabels).filter(([service]) => exports(service));
  return {
    ...endpoint,
    networkServiceNames: names,
    networkServiceLabels: Object.fromEntries(labels),
    expirationTime: undefined,
    pathIds: [],
  };
}

/** What the registry of another site finds in ours: what is exported, and what changes of that; until `life` ends. */
export async function* foundAbroad<T extends { readonly name: string }>(
  parts: { readonly own: Registry<T>; readonly abroad: (value: T) => T | undefined; readonly life: AbortSignal },
  query: T,
  options: { readonly watch: boolean },
  context: RegistryContext,
): AsyncGenerator<Found<T>> {
  const told = new Map<string, T>();
  for await (const { value, deleted } of until(parts.own.find(query, options, context), parts.life)) {
    const seen = deleted ? undefined : parts.abroad(value);
    if (seen === undefined) {
      if (told.delete(value.name)) yield { value: { ...value, pathIds: [] }, deleted: true };
    } else if (!sameMessage(seen, told.get(value.name))) {
      if (options.watch) told.set(value.name, seen);
      yield { value: seen, deleted: false };
    }
  }
}
