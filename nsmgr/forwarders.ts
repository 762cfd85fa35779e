import type { NetworkService, NetworkServiceEndpoint } from "../api/gen/registry/registry.js";
import { NetworkService as NetworkServiceMessage } from "../api/gen/registry/registry.js";
import type { Clock } from "../core/clock.js";
import type { Directory } from "../core/directory.js";
import { isAway } from "../core/error.js";
import { type LocalEndpoint, type LocalEndpoints, ownerOf } from "./proxy/local.js";

export interface ForwardersParts {
  readonly serviceName: string;
  readonly local: LocalEndpoints;
  /** The site's services, for the matches that forwarders may have. */
  readonly services: Pick<Directory, "service">;
  readonly clock: Clock;
}

/** The forwarders of this node, as a directory: they registered here, so looking them up asks nobody else. */
export class Forwarders implements Directory {
  readonly #parts: ForwardersParts;

  constructor(parts: ForwardersParts) {
    this.#parts = parts;
  }

  all(): NetworkServiceEndpoint[] {
    return this.#entries().map(({ endpoint }) => endpoint);
  }

  /** Whether one of them was registered by this SPIFFE id. */
  has(id: string): boolean {
    return this.#entries().some((entry) => ownerOf(entry) === id);
  }

  urls(): string[] {
    return this.all().map((endpoint) => endpoint.url);
  }

  /** The service with its matches; while the registry is away, and was never asked, one without. */
  async service(name: string, signal: AbortSignal): Promise<NetworkService | undefined> {
    try {
      return await this.#parts.services.service(name, signal);
    } catch (error) {
      if (!isAway(error)) throw error;
      return NetworkServiceMessage.fromPartial({ name });
    }
  }

  async endpointsOf(service: string): Promise<NetworkServiceEndpoint[]> {
    return service === this.#parts.serviceName ? this.all() : [];
  }

  async endpoint(name: string): Promise<NetworkServiceEndpoint | undefined> {
    return this.all().find((endpoint) => endpoint.name === name);
  }

  async serviceNames(): Promise<string[]> {
    return [this.#parts.serviceName];
  }

  #entries(): LocalEndpoint[] {
    const { local, serviceName } = this.#parts;
    return local.all().filter(({ endpoint }) => endpoint.networkServiceNames.includes(serviceName));
  }
}
