import type { NetworkServiceEndpoint } from "../api/gen/registry/registry.js";
import type { Prover } from "../core/checkTokens.js";
import type { Clock } from "../core/clock.js";
import { MeshError } from "../core/error.js";
import type { Log } from "../core/log.js";
import { fromTimestamp, toTimestamp } from "../core/timestamp.js";
import type { TokenSource } from "../core/token.js";
import { domainOf } from "../rpc/abroad.js";
import type { EndpointRegistry, Found, RegistryContext } from "../rpc/registry.js";
import { fenced } from "./fenced.js";
import { found } from "./find.js";
import { type Hops, hopsOf, mustOwn } from "./hops.js";
import { endpointKind } from "./kind.js";
import { mustBeOurs, mustHaveName } from "./names.js";
import { mustHaveBlocks, mustSayItself } from "./segments/registrant.js";
import type { LeaseId, Store } from "./store.js";
import type { View } from "./view.js";

/** One endpoint's labels are all indexed. */
const mostLabels = 1_024;

export interface EndpointsParts {
  readonly store: Store;
  readonly view: View<NetworkServiceEndpoint>;
  readonly tokens: TokenSource;
  readonly prover?: Prover | undefined;
  readonly clock: Clock;
  readonly log: Log;
  /** Whether a network service is that of a segment. */
  readonly isSegment: (service: string) => boolean;
  /** The longest life of an endpoint that is not registered again, milliseconds. */
  readonly expirePeriodMs: number;
}

/** The endpoints of a site. Each vanishes when its time is over, unless it is registered again before. */
export class Endpoints implements EndpointRegistry {
  readonly #parts: EndpointsParts;

  constructor(parts: EndpointsParts) {
    this.#parts = parts;
  }

  /** The same name by the same owner overwrites; by another, "denied". Its time is the shortest of: the period, its wish, the tokens' lives. */
  async register(value: NetworkServiceEndpoint, context: RegistryContext): Promise<NetworkServiceEndpoint> {
    const { store, view, clock } = this.#parts;
    const now = clock.now();
    checkEndpoint(value, now);
    const hops = await hopsOf(context, this.#parts, now);
    mustSayItself(value, hops, this.#parts.isSegment);
    const before = view.get(value.name);
    await mustHaveBlocks(value, before?.pathIds[0] === hops.ids[0] ? before : undefined, this.#parts);
    const wish = value.expirationTime === undefined ? Number.POSITIVE_INFINITY : fromTimestamp(value.expirationTime);
    const expires = Math.min(now + this.#parts.expirePeriodMs, hops.expires, wish);
    const lease = await store.grant(expires - now);
    const { stored, revision } = await this.#write({ ...value, expirationTime: toTimestamp(expires) }, { hops, lease, now });
    await view.settled(revision, context.signal);
    await this.#mustStillSayItself(value, hops);
    context.returnPath?.(hops.path);
    return stored;
  }

  async unregister({ name }: NetworkServiceEndpoint, context: RegistryContext): Promise<void> {
    const { store, view, clock, log } = this.#parts;
    mustHaveName("endpoint", name);
    mustBeOurs("endpoint", name);
    const hops = await hopsOf(context, this.#parts, clock.now());
    const revision = await fenced(store, keyOf(name), (entry) => {
      if (entry === undefined) return undefined;
      mustOwn(`the endpoint ${name}`, hops, endpointKind.decode(entry).pathIds);
      return { op: "delete", key: keyOf(name) };
    });
    if (revision !== undefined) {
      log.info("endpoint unregistered", { name, by: hops.ids[0] });
      await view.settled(revision, context.signal);
    }
    context.returnPath?.(hops.path);
  }

  find(
    query: NetworkServiceEndpoint,
    options: { readonly watch: boolean },
    context: RegistryContext,
  ): AsyncIterable<Found<NetworkServiceEndpoint>> {
    mustBeOurs("endpoint", query.name);
    for (const name of query.networkServiceNames) mustBeOurs("network service", name);
    return found(this.#parts.view, query, options, context.signal);
  }

  /** Its service may have become a segment while it was written. */
  async #mustStillSayItself(endpoint: NetworkServiceEndpoint, hops: Hops): Promise<void> {
    try {
      mustSayItself(endpoint, hops, this.#parts.isSegment);
    } catch (error) {
      await this.#parts.store.commit({ conditions: [], writes: [{ op: "delete", key: keyOf(endpoint.name) }] });
      throw error;
    }
  }

  async #write(endpoint: NetworkServiceEndpoint, by: { readonly hops: Hops; readonly lease: LeaseId; readonly now: number }) {
    const { store, log } = this.#parts;
    const key = keyOf(endpoint.name);
    let stored = endpoint;
    let first = false;
    // The lease that it had ends by itself, and takes nothing with it.
    const revision = await fenced(store, key, (entry) => {
      const known = entry && endpointKind.decode(entry);
      if (known !== undefined) mustOwn(`the endpoint ${endpoint.name}`, by.hops, known.pathIds);
      first = known === undefined;
      stored = renewed(endpoint, known, by);
      return { op: "put", key, value: endpointKind.encode(stored), lease: by.lease };
    });
    const told = { name: stored.name, services: stored.networkServiceNames, url: stored.url, by: by.hops.ids[0] };
    if (first) log.info("endpoint registered", told);
    else log.debug("endpoint renewed", told);
    // A put is always written.
    return { stored, revision: revision ?? 0 };
  }
}

function renewed(
  endpoint: NetworkServiceEndpoint,
  known: NetworkServiceEndpoint | undefined,
  { hops, now }: { readonly hops: Hops; readonly now: number },
): NetworkServiceEndpoint {
  const owner = known?.pathIds[0] ?? "";
  const since = known?.initialRegistrationTime ?? endpoint.initialRegistrationTime;
  return {
    ...endpoint,
    // A hop that looks after it for its owner does not become the owner.
    pathIds: owner === "" || owner === hops.ids[0] ? [...hops.ids] : [...(known?.pathIds ?? [])],
    initialRegistrationTime: since !== undefined && fromTimestamp(since) <= now ? since : toTimestamp(now),
  };
}

function checkEndpoint(endpoint: NetworkServiceEndpoint, now: number): void {
  const { name, url, expirationTime, networkServiceNames, networkServiceLabels } = endpoint;
  mustHaveName("endpoint", name);
  mustBeOurs("endpoint", name);
  for (const service of networkServiceNames) {
    mustHaveName(`network service of the endpoint ${name}`, service);
    mustBeOurs("network service", service);
  }
  if (url !== "" && !/^[a-z][a-z0-9+.-]*:\/\/./i.test(url))
    throw new MeshError("invalid", `the URL of the endpoint ${name} must be like tcp://host:port or unix:///path, got ${url}`);
  if (domainOf(url) !== undefined)
    throw new MeshError(
      "invalid",
      `the URL of the endpoint ${name} must not say whose it is: it is of this site; leave out what stands before the @ in ${url}`,
    );
  if (expirationTime !== undefined && fromTimestamp(expirationTime) <= now)
    throw new MeshError(
      "invalid",
      `the expiration time of the endpoint ${name} is ${new Date(fromTimestamp(expirationTime)).toISOString()}, which is over by this registry's clock; leave it out to get the registry's own`,
    );
  const labels = Object.values(networkServiceLabels).reduce((sum, { labels: all }) => sum + Object.keys(all).length, 0);
  if (labels > mostLabels) throw new MeshError("invalid", `the endpoint ${name} has ${labels} labels, allowed are ${mostLabels}`);
}

function keyOf(name: string): string {
  return endpointKind.prefix + name;
}
