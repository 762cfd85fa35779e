import { NetworkService, NetworkServiceEndpoint } from "../../api/gen/registry/registry.js";
import type { Clock } from "../../core/clock.js";
import { asMeshError, MeshError } from "../../core/error.js";
import type { Log } from "../../core/log.js";
import type { Identity } from "../../identity/identity.js";
import type { EndpointRegistry, ServiceRegistry } from "../../rpc/registry.js";
import { expiryOf } from "../expiry.js";
import type { HostedRecord } from "./record.js";

const retryMs = 500;
const longestMs = 60_000;

export interface RegistrarParts {
  /** This node's own view of the registry: what nsmgr serves to everybody else. */
  readonly services: ServiceRegistry;
  readonly endpoints: EndpointRegistry;
  /** An endpoint is registered in the name of the pod that it is served for. */
  readonly podTokens: Identity["podTokens"];
  /** Where the endpoints are served. */
  readonly url: string;
  readonly nodeName: string;
  readonly site: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** Keeps hosted endpoints registered: renewed after two thirds of their life, and soon again after a failure. */
export class Registrar {
  readonly #parts: RegistrarParts;

  constructor(parts: RegistrarParts) {
    this.#parts = parts;
  }

  /** Registers it once; resolves to the milliseconds until it should be renewed. */
  async register(record: HostedRecord, signal: AbortSignal): Promise<number> {
    const { services, endpoints, clock } = this.#parts;
    const caller = await this.#caller(record);
    await services.register(await this.#service(record, signal), { signal, caller });
    const registered = await endpoints.register(this.#endpoint(record), { signal, caller });
    const expires = expiryOf(registered) ?? clock.now() + longestMs;
    return Math.max(retryMs, ((expires - clock.now()) * 2) / 3);
  }

  /** Renews it until the signal ends. */
  async keep(record: HostedRecord, firstMs: number, signal: AbortSignal): Promise<void> {
    let ms = firstMs;
    while (!signal.aborted) {
      await this.#parts.clock.sleep(ms, signal).catch(() => {});
      if (signal.aborted) return;
      try {
        ms = await this.register(record, signal);
      } catch (error) {
        ms = retryMs;
        this.#parts.log.warn("endpoint not renewed", { endpoint: record.name, error: asMeshError(error).message });
      }
    }
  }

  async unregister(record: HostedRecord, signal: AbortSignal): Promise<void> {
    const caller = await this.#caller(record);
    await this.#parts.endpoints.unregister(this.#endpoint(record), { signal, caller });
  }

  #caller(record: HostedRecord) {
    return this.#parts.podTokens(record.podName || record.name, record.podLabels ?? {});
  }

  /** The service as it is in the registry, with its matches, else a plain one. MeshError "exists" when it carries another payload. */
  async #service(record: HostedRecord, signal: AbortSignal): Promise<NetworkService> {
    const wanted = NetworkService.fromPartial({ name: record.service, payload: record.payload });
    const query = NetworkService.fromPartial({ name: record.service });
    for await (const { value } of this.#parts.services.find(query, { watch: false }, { signal })) {
      if (value.name !== record.service) continue;
      if (value.payload === record.payload) return value;
      const payloads = `carries ${value.payload.toLowerCase()}, not ${record.payload.toLowerCase()}`;
      throw new MeshError("exists", `network service ${record.service} ${payloads}; serve it with that payload, or under another name`);
    }
    return wanted;
  }

  #endpoint(record: HostedRecord): NetworkServiceEndpoint {
    const { url, nodeName, site } = this.#parts;
    const labels = { nodeName, site, ...(record.podName === "" ? {} : { podName: record.podName }), ...record.labels };
    return NetworkServiceEndpoint.fromPartial({
      name: record.name,
      url,
      networkServiceNames: [record.service],
      networkServiceLabels: { [record.service]: { labels } },
    });
  }
}
