import { NetworkService, NetworkServiceEndpoint } from "../api/gen/registry/registry.js";
import type { Clock } from "../core/clock.js";
import type { Directory } from "../core/directory.js";
import { asMeshError, MeshError } from "../core/error.js";
import type { Log } from "../core/log.js";
import { list } from "./opening.js";
import type { EndpointRegistry, Registry, ServiceRegistry } from "./registry.js";
import { abortable } from "./signals.js";
import { View } from "./view.js";

const keptMs = 60_000;

export interface DirectoryParts {
  readonly services: ServiceRegistry;
  readonly endpoints: EndpointRegistry;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * A Directory fed by watches on a registry: one per service that somebody asked for in the last minute.
 * Warm answers cost no call. "Not there" is asked for once more before it is given, so what was just registered is seen.
 * While the registry is away the answer is what was known; only what was never known is "unreachable".
 */
export class WatchedDirectory implements Directory, AsyncDisposable {
  readonly #parts: DirectoryParts;
  readonly #services: Views<NetworkService>;
  readonly #endpoints: Views<NetworkServiceEndpoint>;

  constructor(parts: DirectoryParts) {
    this.#parts = parts;
    const { clock, log } = parts;
    this.#services = new Views(clock, (name) => {
      const query = NetworkService.fromPartial({ name });
      return new View({ registry: parts.services, query, nameOf: (service) => service.name, clock, log });
    });
    this.#endpoints = new Views(clock, (service) => {
      const query = NetworkServiceEndpoint.fromPartial({ networkServiceNames: [service] });
      return new View({ registry: parts.endpoints, query, nameOf: (endpoint) => endpoint.name, clock, log });
    });
  }

  async service(name: string, signal: AbortSignal): Promise<NetworkService | undefined> {
    const view = await this.#services.ready(name, signal);
    return view.get(name) ?? (await askedAgain(view, signal)).find((service) => service.name === name);
  }

  async endpointsOf(service: string, signal: AbortSignal): Promise<readonly NetworkServiceEndpoint[]> {
    const view = await this.#endpoints.ready(service, signal);
    const serving = (endpoint: NetworkServiceEndpoint) => endpoint.networkServiceNames.includes(service) && this.#lives(endpoint);
    const known = [...view.values].filter(serving);
    return known.length > 0 ? known : (await askedAgain(view, signal)).filter(serving);
  }

  async endpoint(name: string, signal: AbortSignal): Promise<NetworkServiceEndpoint | undefined> {
    const known = this.#known(name);
    if (known !== undefined) return known;
    const found = await listed(this.#parts.endpoints, NetworkServiceEndpoint.fromPartial({ name }), signal);
    const endpoint = found.find((one) => one.name === name && this.#lives(one));
    const [service] = endpoint?.networkServiceNames ?? [];
    // From now on the view of its service knows it.
    if (service !== undefined) void this.#endpoints.ready(service, signal).catch(() => {});
    return endpoint;
  }

  async serviceNames(signal: AbortSignal): Promise<readonly string[]> {
    try {
      return (await listed(this.#parts.services, NetworkService.fromPartial({}), signal)).map((service) => service.name);
    } catch (error) {
      const known = [...this.#services.all].flatMap((view) => [...view.values].map((service) => service.name));
      if (known.length === 0 || signal.aborted) throw error;
      return known;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#services[Symbol.dispose]();
    this.#endpoints[Symbol.dispose]();
  }

  #known(name: string): NetworkServiceEndpoint | undefined {
    for (const view of this.#endpoints.all) {
      const endpoint = view.get(name);
      if (endpoint !== undefined && this.#lives(endpoint)) return endpoint;
    }
    return undefined;
  }

  #lives(endpoint: NetworkServiceEndpoint): boolean {
    const time = endpoint.expirationTime;
    return time === undefined || time.seconds * 1000 + time.nanos / 1e6 > this.#parts.clock.now();
  }
}

/** Views by key, each gone a minute after its last use. */
class Views<T> implements Disposable {
  readonly #clock: Clock;
  readonly #make: (key: string) => View<T>;
  readonly #held = new Map<string, { readonly view: View<T>; timer: Disposable }>();

  constructor(clock: Clock, make: (key: string) => View<T>) {
    this.#clock = clock;
    this.#make = make;
  }

  get all(): Iterable<View<T>> {
    return [...this.#held.values()].map((entry) => entry.view);
  }

  /** The view, once it knows something. One that could not begin is forgotten, so that the next lookup tries again. */
  async ready(key: string, signal: AbortSignal): Promise<View<T>> {
    const { view } = this.#use(key);
    try {
      await abortable(view.first, signal);
    } catch (error) {
      if (!signal.aborted) this.#forget(key, view);
      throw away(error);
    }
    return view;
  }

  [Symbol.dispose](): void {
    for (const [key, { view }] of this.#held) this.#forget(key, view);
  }

  #use(key: string): { readonly view: View<T> } {
    const found = this.#held.get(key);
    found?.timer[Symbol.dispose]();
    const view = found?.view ?? this.#make(key);
    const entry = { view, timer: this.#clock.after(keptMs, () => this.#forget(key, view)) };
    this.#held.set(key, entry);
    return entry;
  }

  #forget(key: string, view: View<T>): void {
    const entry = this.#held.get(key);
    if (entry?.view !== view) return;
    this.#held.delete(key);
    entry.timer[Symbol.dispose]();
    view[Symbol.dispose]();
  }
}

/** The answer of the registry itself where the view has none; none either while it is away. */
async function askedAgain<T>(view: View<T>, signal: AbortSignal): Promise<T[]> {
  try {
    return await view.ask(signal);
  } catch (error) {
    if (signal.aborted) throw asMeshError(signal.reason);
    const failure = asMeshError(error);
    if (failure.code === "unreachable" || failure.code === "timeout") return [];
    throw failure;
  }
}

async function listed<T>(registry: Registry<T>, query: T, signal: AbortSignal): Promise<T[]> {
  try {
    return await list(registry, query, signal);
  } catch (error) {
    throw away(error);
  }
}

function away(error: unknown): MeshError {
  const failure = asMeshError(error);
  if (failure.code !== "unreachable") return failure;
  return new MeshError("unreachable", `the registry cannot be asked: ${failure.message}`, { cause: error, hop: failure.hop });
}
