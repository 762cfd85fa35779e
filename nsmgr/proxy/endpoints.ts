import { NetworkServiceEndpoint } from "../../api/gen/registry/registry.js";
import type { Prover } from "../../core/checkTokens.js";
import type { Clock } from "../../core/clock.js";
import { sameMessage } from "../../core/equal.js";
import { isAway, MeshError } from "../../core/error.js";
import type { Log } from "../../core/log.js";
import { matchesEndpoint } from "../../core/match.js";
import { alsoInSite, inSite, siteName } from "../../core/siteNames.js";
import { toTimestamp } from "../../core/timestamp.js";
import type { TokenSource } from "../../core/token.js";
import { Changes } from "../../rpc/changes.js";
import { checkCaller } from "../../rpc/checkCaller.js";
import type { EndpointRegistry, Found, RegistryContext } from "../../rpc/registry.js";
import { expiryOf } from "../expiry.js";
import { type LocalEndpoint, type LocalEndpoints, ownerOf } from "./local.js";
import { onward } from "./path.js";
import type { Upstream } from "./upstream.js";

/** How long an endpoint lives that says nothing of it, and how long one is vouched for while the registry cannot be asked. */
const defaultLifeMs = 60_000;

export interface EndpointProxyParts {
  readonly local: LocalEndpoints;
  readonly upstream: Upstream<NetworkServiceEndpoint>;
  /** This nsmgr's own url, under which others reach what is here. */
  readonly ownUrl: string;
  /** The own site: what is here is also found as `service@site`. */
  readonly site: string;
  /** Turns a url that only its registrant understands (inode://…) into one that can be dialed from here. */
  readonly resolveUrl: (url: string) => Promise<string>;
  readonly tokens: TokenSource;
  readonly prover: Prover;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * The endpoint registry as this node sees it: an endpoint of this node is published under nsmgr's url and found here
 * under its own; what claims nsmgr's url and is not here is hidden.
 */
export class EndpointProxy implements EndpointRegistry {
  readonly #parts: EndpointProxyParts;
  /** What left this node while the registry was away, and is still to be told to it. */
  readonly #departed = new Map<string, NetworkServiceEndpoint>();

  constructor(parts: EndpointProxyParts) {
    this.#parts = parts;
  }

  async register(value: NetworkServiceEndpoint, context: RegistryContext): Promise<NetworkServiceEndpoint> {
    const { local } = this.#parts;
    requireNameAndUrl(value);
    this.#mayTouch(value.name, context);
    const url = await this.#parts.resolveUrl(value.url);
    const before = local.get(value.name);
    this.#departed.delete(value.name);
    const entry = { endpoint: { ...value, url }, expires: this.#lifeEnd(value), caller: context.caller, path: context.path };
    // Known here before it is known to others, so that nobody is sent here in vain.
    await local.put(entry);
    try {
      const published = await this.publish(entry, context);
      const expires = expiryOf(published) ?? entry.expires;
      await local.put({ ...entry, endpoint: { ...published, url }, expires });
      return { ...published, url: value.url };
    } catch (error) {
      if (before === undefined) await local.remove(value.name);
      else if (!isAway(error)) await local.put(before);
      if (before === undefined || !isAway(error)) throw error;
      this.#parts.log.warn("endpoint renewed here only, the registry is away", { endpoint: value.name });
      return { ...value, expirationTime: toTimestamp(entry.expires) };
    }
  }

  /** Says a local endpoint to the registry, under nsmgr's url. */
  async publish(entry: LocalEndpoint, context: RegistryContext): Promise<NetworkServiceEndpoint> {
    const { upstream, ownUrl } = this.#parts;
    return await upstream.registry.register(
      { ...entry.endpoint, url: ownUrl },
      onward({ ...context, path: entry.path, caller: entry.caller }, await this.#parts.tokens()),
    );
  }

  async unregister(value: NetworkServiceEndpoint, context: RegistryContext): Promise<void> {
    const { local, upstream, ownUrl } = this.#parts;
    this.#mayTouch(value.name, context);
    const held = local.get(value.name);
    await local.remove(value.name);
    const known = { ...context, path: context.path ?? held?.path, caller: context.caller ?? held?.caller };
    try {
      await upstream.registry.unregister({ ...value, url: ownUrl }, onward(known, await this.#parts.tokens()));
    } catch (error) {
      if (!isAway(error)) throw error;
      this.#departed.set(value.name, value);
    }
  }

  /** Takes out of the registry what left while it was away. True if `name` was such a one. */
  async withdraw(name: string, signal: AbortSignal): Promise<boolean> {
    const value = this.#departed.get(name);
    if (value === undefined) return false;
    const { upstream, ownUrl, tokens } = this.#parts;
    await upstream.registry.unregister({ ...value, url: ownUrl }, onward({ signal }, await tokens()));
    return this.#departed.delete(name);
  }

  async *find(
    query: NetworkServiceEndpoint,
    options: { readonly watch: boolean },
    context: RegistryContext,
  ): AsyncGenerator<Found<NetworkServiceEndpoint>> {
    if (options.watch) yield* this.#watch(query, context);
    else for (const value of await this.#list(query, context)) yield { value, deleted: false };
  }

  async #list(query: NetworkServiceEndpoint, context: RegistryContext): Promise<NetworkServiceEndpoint[]> {
    const { local, upstream, clock } = this.#parts;
    const named = query.name === "" ? undefined : local.get(this.#plain(query.name));
    if (named !== undefined) return this.#matching(query, named.endpoint);
    const here = local.all().flatMap(({ endpoint }) => this.#matching(query, endpoint));
    const { values, fresh } = await upstream.list(query, context).catch((error: unknown) => {
      if (here.length === 0 || !isAway(error)) throw error;
      return { values: [], fresh: false };
    });
    const elsewhere = values.filter((value) => this.#isElsewhere(value));
    return [...here, ...(fresh ? elsewhere : elsewhere.map((value) => vouched(value, clock.now())))];
  }

  async *#watch(query: NetworkServiceEndpoint, context: RegistryContext): AsyncGenerator<Found<NetworkServiceEndpoint>> {
    const { local, upstream } = this.#parts;
    const changes = new Changes<NetworkServiceEndpoint>();
    const remote = new Map<string, NetworkServiceEndpoint>();
    const told = new Map<string, NetworkServiceEndpoint>();
    const tell = (name: string) => {
      const [here] = this.#matching(query, local.get(name)?.endpoint);
      const there = remote.get(name);
      const value = here ?? (there !== undefined && this.#isElsewhere(there) ? there : undefined);
      if (value !== undefined && matchesEndpoint(query, value)) {
        if (sameMessage(value, told.get(name))) return;
        told.set(name, value);
        changes.push(name, { value, deleted: false });
      } else if (told.delete(name)) {
        changes.push(name, { value: NetworkServiceEndpoint.fromPartial({ ...(there ?? value), name }), deleted: true });
      }
    };
    using stop = stopWith(context.signal);
    using _listening = local.listen(tell);
    for (const { endpoint } of local.all()) tell(endpoint.name);
    const reading = this.#readInto(changes, remote, tell, upstream.watch(query, { ...context, signal: stop.signal }));
    try {
      yield* changes.read(context.signal);
    } finally {
      stop[Symbol.dispose]();
      await reading;
    }
  }

  async #readInto(
    changes: Changes<NetworkServiceEndpoint>,
    remote: Map<string, NetworkServiceEndpoint>,
    tell: (name: string) => void,
    stream: AsyncIterable<Found<NetworkServiceEndpoint>>,
  ): Promise<void> {
    try {
      for await (const { value, deleted } of stream) {
        if (deleted) remote.delete(value.name);
        else remote.set(value.name, value);
        tell(value.name);
      }
    } catch (error) {
      changes.fail(error);
    }
  }

  /** Throws "denied" for tokens that are not as they must be, and for an endpoint of this node that another has registered. */
  #mayTouch(name: string, context: RegistryContext): void {
    const { local, clock, prover } = this.#parts;
    const [asking] = checkCaller(context, clock.now(), prover) ?? [];
    const held = local.get(name);
    const owner = held && ownerOf(held);
    if (asking === undefined || owner === undefined || asking.subject === owner) return;
    throw new MeshError("denied", `the endpoint ${name} belongs to ${owner}; ${asking.subject} may not change it: choose another name`);
  }

  /** Not here, and not claimed to be here by what an earlier nsmgr left in the registry. */
  #isElsewhere(value: NetworkServiceEndpoint): boolean {
    return value.url !== this.#parts.ownUrl && this.#parts.local.get(value.name) === undefined;
  }

  /** A local endpoint as the query sees it; empty where it does not. */
  #matching(query: NetworkServiceEndpoint, endpoint: NetworkServiceEndpoint | undefined): NetworkServiceEndpoint[] {
    if (endpoint === undefined) return [];
    const across = [query.name, ...query.networkServiceNames].some((name) => name.includes("@"));
    const { site } = this.#parts;
    const asked = across
      ? { ...alsoInSite(endpoint, site), name: query.name === inSite(endpoint.name, site) ? query.name : endpoint.name }
      : endpoint;
    return matchesEndpoint(query, asked) ? [asked] : [];
  }

  /** `echo-1@paris` is `echo-1` in paris. */
  #plain(name: string): string {
    const { local, site } = siteName(name);
    return site === this.#parts.site ? local : name;
  }

  #lifeEnd(value: NetworkServiceEndpoint): number {
    return expiryOf(value) ?? this.#parts.clock.now() + defaultLifeMs;
  }
}

function requireNameAndUrl(value: NetworkServiceEndpoint): void {
  if (value.name === "") throw new MeshError("invalid", "an endpoint needs a name to be registered");
  if (value.url === "") throw new MeshError("invalid", `endpoint ${value.name} needs a url to be registered: where is it served?`);
}

/** While the registry is away nobody can renew, so expiry says nothing. */
function vouched(value: NetworkServiceEndpoint, now: number): NetworkServiceEndpoint {
  const until = now + defaultLifeMs;
  const expires = expiryOf(value);
  return expires === undefined || expires > until ? value : { ...value, expirationTime: toTimestamp(until) };
}

/** A signal that ends with another, or when disposed. */
function stopWith(signal: AbortSignal): { readonly signal: AbortSignal } & Disposable {
  const controller = new AbortController();
  return { signal: AbortSignal.any([signal, controller.signal]), [Symbol.dispose]: () => controller.abort() };
}
