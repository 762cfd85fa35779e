import type { Connection } from "../api/gen/connection/connection.js";
import { NetworkService, NetworkServiceEndpoint } from "../api/gen/registry/registry.js";
import type { Element } from "../core/chain.js";
import type { Clock } from "../core/clock.js";
import { asMeshError } from "../core/error.js";
import type { Log } from "../core/log.js";
import { matchEndpoints } from "../core/match.js";
import type { EndpointRegistry, ServiceRegistry } from "../rpc/registry.js";
import { Tasks } from "./tasks.js";

interface Watched {
  /** Connections of this service by their id here. */
  readonly connections: Map<string, Connection>;
  readonly stop: AbortController;
  /** Ends the watch a while after its last connection. */
  idle: Disposable | undefined;
}

/** A service that is asked for again and again is not watched anew each time. */
const keptMs = 60_000;

export interface ServiceMonitorParts {
  /** This node's view of the registry, whose watches outlive the registry's restarts. */
  readonly services: ServiceRegistry;
  readonly endpoints: EndpointRegistry;
  /** Parts a connection (this hop's own id) from its endpoint. */
  readonly part: (id: string) => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
}

/** Parts connections from an endpoint that is no longer what the service's matches say. One watch per service, however many connections. */
export class ServiceMonitor implements AsyncDisposable {
  readonly #parts: ServiceMonitorParts;
  readonly #watched = new Map<string, Watched>();
  readonly #tasks: Tasks;

  constructor(parts: ServiceMonitorParts) {
    this.#parts = parts;
    this.#tasks = new Tasks(parts.log);
  }

  readonly element: Element = {
    name: "service monitor",
    request: async (call, next) => {
      const conn = await next.request(call);
      this.#add(conn);
      return conn;
    },
    close: async (call, next) => {
      this.#remove(call.connection);
      await next.close(call);
    },
  };

  async [Symbol.asyncDispose](): Promise<void> {
    for (const watched of this.#watched.values()) {
      watched.idle?.[Symbol.dispose]();
      watched.stop.abort();
    }
    this.#watched.clear();
    await this.#tasks[Symbol.asyncDispose]();
  }

  #add(conn: Connection): void {
    const held = this.#watched.get(conn.networkService);
    if (held !== undefined) {
      held.connections.set(conn.id, conn);
      held.idle?.[Symbol.dispose]();
      held.idle = undefined;
      return;
    }
    const watched: Watched = { connections: new Map([[conn.id, conn]]), stop: new AbortController(), idle: undefined };
    this.#watched.set(conn.networkService, watched);
    this.#tasks.spawn("watch service", () => this.#watch(conn.networkService, watched));
  }

  #remove(conn: Connection): void {
    const watched = this.#watched.get(conn.networkService);
    if (watched?.connections.delete(conn.id) !== true || watched.connections.size > 0) return;
    watched.idle = this.#parts.clock.after(keptMs, () => {
      watched.stop.abort();
      this.#watched.delete(conn.networkService);
    });
  }

  async #watch(name: string, watched: Watched): Promise<void> {
    const { signal } = watched.stop;
    const query = NetworkService.fromPartial({ name });
    for await (const { value, deleted } of this.#parts.services.find(query, { watch: true }, { signal }))
      if (!deleted && value.name === name) await this.#check(value, watched).catch((error: unknown) => this.#failed(name, error));
  }

  async #check(service: NetworkService, watched: Watched): Promise<void> {
    const { signal } = watched.stop;
    const query = NetworkServiceEndpoint.fromPartial({ networkServiceNames: [service.name] });
    if (watched.connections.size === 0) return;
    const endpoints = new Map<string, NetworkServiceEndpoint>();
    for await (const { value } of this.#parts.endpoints.find(query, { watch: false }, { signal })) endpoints.set(value.name, value);
    for (const conn of [...watched.connections.values()]) {
      const endpoint = endpoints.get(conn.networkServiceEndpointName);
      // An endpoint that the registry does not know may still serve: a registry that lost its data ends no connection.
      if (endpoint === undefined || matchEndpoints(service, [endpoint], conn.labels).length > 0) continue;
      this.#parts.log.info("endpoint no longer matches", { connection: conn.id, endpoint: endpoint.name });
      await this.#parts.part(conn.id);
    }
  }

  #failed(name: string, error: unknown): void {
    this.#parts.log.warn("connections not checked against their service", { service: name, error: asMeshError(error).message });
  }
}
