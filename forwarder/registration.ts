import { NetworkService, NetworkServiceEndpoint } from "../api/gen/registry/registry.js";
import type { Clock } from "../core/clock.js";
import { deadline } from "../core/deadline.js";
import { asMeshError } from "../core/error.js";
import type { Log } from "../core/log.js";
import { pausesUntil } from "../core/pauses.js";
import { fromTimestamp } from "../core/timestamp.js";
import type { EndpointRegistry, ServiceRegistry } from "../rpc/registry.js";

export interface RegistrationParts {
  readonly services: ServiceRegistry;
  readonly endpoints: EndpointRegistry;
  /** The name of the service of forwarders. */
  readonly service: string;
  readonly name: string;
  readonly url: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly clock: Clock;
  readonly log: Log;
}

const callMs = 5_000;
/** Without a word on when it expires. */
const usualMs = 20_000;

/** Keeps this forwarder registered through its nsmgr until the signal ends: again before it expires, and whenever the registry lost it. */
export async function keepRegistered(parts: RegistrationParts, signal: AbortSignal): Promise<void> {
  let told = "";
  for await (const pauses of pausesUntil(signal, parts.clock)) {
    try {
      const ms = await register(parts, signal);
      pauses.reset();
      told = "";
      await lost(parts, ms, signal);
    } catch (error) {
      const { message } = asMeshError(error);
      if (!signal.aborted && message !== told) parts.log.warn("not registered", { service: parts.service, error: message });
      told = message;
    }
  }
}

/** Resolves with the milliseconds after which to come again. */
async function register(parts: RegistrationParts, outer: AbortSignal): Promise<number> {
  const { service, clock } = parts;
  using until = deadline(clock, callMs, outer);
  const { signal } = until;
  if (!(await isThere(parts.services, service, signal))) {
    await parts.services.register(NetworkService.fromPartial({ name: service }), { signal });
  }
  const endpoint = await parts.endpoints.register(
    NetworkServiceEndpoint.fromPartial({
      name: parts.name,
      networkServiceNames: [service],
      networkServiceLabels: { [service]: { labels: { ...parts.labels } } },
      url: parts.url,
    }),
    { signal },
  );
  parts.log.debug("registered", { service, name: endpoint.name, url: parts.url });
  return endpoint.expirationTime === undefined ? usualMs : Math.max(1000, ((fromTimestamp(endpoint.expirationTime) - clock.now()) * 2) / 3);
}

/** A service that somebody wrote with matches of its own stays as it is. */
async function isThere(services: ServiceRegistry, name: string, signal: AbortSignal): Promise<boolean> {
  for await (const { value } of services.find(NetworkService.fromPartial({ name }), { watch: false }, { signal })) {
    if (value.name === name) return true;
  }
  return false;
}

/** Resolves when it is time again, or nsmgr went away, or the registration did. */
async function lost(parts: RegistrationParts, ms: number, outer: AbortSignal): Promise<void> {
  const turn = new AbortController();
  const signal = AbortSignal.any([outer, turn.signal]);
  try {
    await Promise.race([parts.clock.sleep(ms, signal), gone(parts, signal)]);
  } finally {
    turn.abort();
  }
}

async function gone({ endpoints, name }: RegistrationParts, signal: AbortSignal): Promise<void> {
  for await (const { value, deleted } of endpoints.find(NetworkServiceEndpoint.fromPartial({ name }), { watch: true }, { signal })) {
    if (value.name === name && deleted) return;
  }
}
