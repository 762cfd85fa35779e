import type { ServedEndpoint, ServeRequest } from "../../api/gen/isthmus/v1/node.js";
import type { Call, Handler } from "../../core/chain.js";
import { asMeshError, MeshError } from "../../core/error.js";
import type { Lease, LeaseStore } from "../../core/ipam/pointToPoint.js";
import type { Log } from "../../core/log.js";
import { asItIs, type Persisted, persisted } from "../../program/persisted.js";
import type { StateStore } from "../../program/state.js";
import { deadline } from "../deadline.js";
import type { Namespaces, NamespaceWatch } from "../namespaces.js";
import { Tasks } from "../tasks.js";
import { HostedEndpoint, type HostedParts } from "./endpoint.js";
import { type HostedRecord, newHosted, toServed } from "./record.js";
import { Registrar, type RegistrarParts } from "./registrar.js";

const registerMs = 15_000;
const unregisterMs = 5_000;

export interface HostsParts extends Omit<HostedParts, "leases">, RegistrarParts {
  readonly store: StateStore;
  readonly namespaces: Namespaces;
  readonly namespaceWatch: NamespaceWatch;
  readonly log: Log;
}

interface Host {
  readonly endpoint: HostedEndpoint;
  /** Ends the renewals. */
  readonly stop: AbortController;
  watch?: Disposable;
  /** Set when it ends; resolves when it is gone. */
  ended?: Promise<void>;
}

/** The endpoints that nsmgr serves for pods of its node, all on one socket; a call says by name which it is for. */
export class Hosts implements AsyncDisposable {
  readonly #parts: HostsParts;
  readonly #hosts = new Map<string, Host>();
  readonly #records: Persisted<HostedRecord>;
  readonly #registrar: Registrar;
  readonly #tasks: Tasks;

  constructor(parts: HostsParts) {
    this.#parts = parts;
    this.#records = persisted(parts.store, "hosted/", asItIs<HostedRecord>());
    this.#registrar = new Registrar(parts);
    this.#tasks = new Tasks(parts.log);
  }

  /** What the socket serves. */
  readonly handler: Handler = {
    request: async (call) => await this.#named(call).endpoint.handler.request(call),
    close: async (call) => {
      await this.#hosts.get(call.connection.networkServiceEndpointName)?.endpoint.handler.close(call);
    },
  };

  /** Takes up what an earlier run left; what was not detached ended with it. */
  resume(): void {
    for (const [, record] of this.#records.entries()) {
      const there = this.#parts.namespaces.look(record.netnsUrl) === record.netnsIdentity;
      const host = this.#open(record);
      if (!record.detached || !there) {
        this.#tasks.spawn("end endpoint", () => this.#end(host));
        continue;
      }
      host.endpoint.reapLater();
      this.#watchNamespace(host);
      this.#tasks.spawn("renew endpoint", () => this.#registrar.keep(record, 0, host.stop.signal));
    }
  }

  /** Serves, registers, and yields once. Without `detach` it ends with the reader. MeshError "exists" for a name that is served here. */
  async *serve(request: ServeRequest, signal: AbortSignal): AsyncGenerator<ServedEndpoint> {
    const record = newHosted(request, this.#parts.namespaces);
    if (this.#hosts.has(record.name))
      throw new MeshError("exists", `endpoint ${record.name} is served here already; give it another --name, or unserve that one`);
    const host = this.#open(record);
    try {
      await this.#records.put(record.name, record);
      await this.#register(host, signal);
      yield toServed(record, 0);
      if (record.detached) return;
      await Promise.race([ended(signal), ended(host.stop.signal)]);
      if (!signal.aborted) throw new MeshError("netns-gone", `endpoint ${record.name} ended here: its pod is gone, or it was unserved`);
    } catch (error) {
      await this.#end(host);
      throw error;
    } finally {
      if (!record.detached) await this.#end(host);
    }
  }

  async unserve(name: string): Promise<void> {
    const host = this.#hosts.get(name);
    if (host === undefined) throw new MeshError("not-found", `this node serves no endpoint ${name}; it serves ${this.#names()}`);
    await this.#end(host);
  }

  get size(): number {
    return this.#hosts.size;
  }

  list(): ServedEndpoint[] {
    return [...this.#hosts.values()].map(({ endpoint }) => toServed(endpoint.record, endpoint.connections.length));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const hosts = [...this.#hosts.values()];
    await Promise.all(hosts.filter((host) => !host.endpoint.record.detached).map((host) => this.#end(host)));
    for (const host of hosts) {
      host.stop.abort();
      host.watch?.[Symbol.dispose]();
      host.endpoint[Symbol.dispose]();
    }
    await this.#tasks[Symbol.asyncDispose]();
  }

  #open(record: HostedRecord): Host {
    const leases = leaseStore(this.#parts.store, record.name);
    const host: Host = { endpoint: new HostedEndpoint(record, { ...this.#parts, leases }), stop: new AbortController() };
    this.#hosts.set(record.name, host);
    return host;
  }

  async #register(host: Host, signal: AbortSignal): Promise<void> {
    const { record } = host.endpoint;
    using limit = deadline(
      this.#parts.clock,
      registerMs,
      `the registry did not take endpoint ${record.name} within ${registerMs} ms`,
      signal,
    );
    const renewMs = await this.#registrar.register(record, limit.signal);
    this.#watchNamespace(host);
    this.#tasks.spawn("renew endpoint", () => this.#registrar.keep(record, renewMs, host.stop.signal));
    this.#parts.log.info("endpoint served", { endpoint: record.name, service: record.service });
  }

  #watchNamespace(host: Host): void {
    const { netnsUrl, netnsIdentity } = host.endpoint.record;
    const gone = () => this.#tasks.spawn("end endpoint", () => this.#end(host));
    host.watch = this.#parts.namespaceWatch.add(netnsUrl, netnsIdentity, gone);
  }

  #end(host: Host): Promise<void> {
    host.ended ??= this.#close(host);
    return host.ended;
  }

  /** First nobody new finds it, then those who use it are told. */
  async #close(host: Host): Promise<void> {
    const { record } = host.endpoint;
    host.stop.abort();
    host.watch?.[Symbol.dispose]();
    host.endpoint[Symbol.dispose]();
    using limit = deadline(this.#parts.clock, unregisterMs, `the registry did not answer within ${unregisterMs} ms`);
    await this.#registrar.unregister(record, limit.signal).catch((error: unknown) => {
      this.#parts.log.warn("endpoint not unregistered", { endpoint: record.name, error: asMeshError(error).message });
    });
    await host.endpoint.closeAll();
    this.#hosts.delete(record.name);
    await this.#records.remove(record.name);
    const leases = leaseStore(this.#parts.store, record.name);
    for (const lease of await leases.load()) await leases.remove(lease.id);
    this.#parts.log.info("endpoint ended", { endpoint: record.name });
  }

  #named(call: Call): Host {
    const { networkServiceEndpointName: name, networkService } = call.connection;
    const host = this.#hosts.get(name);
    if (host !== undefined && host.ended === undefined) {
      const { service } = host.endpoint.record;
      if (networkService === "" || networkService === service) return host;
      throw new MeshError("no-endpoint", `endpoint ${name} serves ${service}, not ${networkService}`);
    }
    throw new MeshError("no-endpoint", `this node serves no endpoint "${name}"; it serves ${this.#names()}`);
  }

  #names(): string {
    return [...this.#hosts.keys()].join(", ") || "none";
  }
}

function leaseStore(store: StateStore, endpoint: string): LeaseStore {
  const kept = persisted(store, `lease/${encodeURIComponent(endpoint)}/`, asItIs<Lease>());
  return {
    load: async () => kept.entries().map(([, lease]) => lease),
    put: (lease) => kept.put(lease.id, lease),
    remove: (id) => kept.remove(id),
  };
}

function ended(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
