import { NetworkServiceEndpoint } from "../../api/gen/registry/registry.js";
import { toTimestamp } from "../../core/timestamp.js";
import { endpointKind } from "../../registry/kind.js";
import { type Store, transactionLimit } from "../../registry/store.js";
import { inParallel } from "../lib/inParallel.js";

export const endpoints = 100_000;
export const perService = 10;
export const services = endpoints / perService;

/** Writes 100,000 endpoints past the registry's rules, which would take as long as it takes 100,000 clients. */
export async function fill(store: Store): Promise<void> {
  const lease = await store.grant(600_000);
  const batches = Array.from({ length: Math.ceil(endpoints / transactionLimit) }, (_, at) => at * transactionLimit);
  await inParallel(batches.length, 8, (at) => write(store, lease, batches[at] ?? 0));
}

function write(store: Store, lease: string, from: number): Promise<unknown> {
  const count = Math.min(transactionLimit, endpoints - from);
  const writes = Array.from({ length: count }, (_, at) => {
    const one = example(from + at);
    return { op: "put" as const, key: endpointKind.prefix + one.name, value: endpointKind.encode(one), lease };
  });
  return store.commit({ writes });
}

export function example(at: number): NetworkServiceEndpoint {
  const service = Math.floor(at / perService);
  return query({
    name: `endpoint-${at}`,
    networkServiceNames: [`service-${service}`],
    url: `tcp://10.101.${at % 250}.11:5001`,
    expirationTime: toTimestamp(Date.now() + 600_000),
    ...labelled(service, `pod-${at % perService}`),
  });
}

export function labelled(service: number, podName: string): Partial<NetworkServiceEndpoint> {
  return { networkServiceLabels: { [`service-${service}`]: { labels: { podName } } } };
}

export function query(more: Partial<NetworkServiceEndpoint>): NetworkServiceEndpoint {
  return { ...NetworkServiceEndpoint.decode(new Uint8Array()), ...more };
}
