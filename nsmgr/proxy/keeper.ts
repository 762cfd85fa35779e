import { NetworkServiceEndpoint } from "../../api/gen/registry/registry.js";
import type { Clock } from "../../core/clock.js";
import { sameMessage } from "../../core/equal.js";
import { asMeshError, isAway } from "../../core/error.js";
import type { Log } from "../../core/log.js";
import { toTimestamp } from "../../core/timestamp.js";
import type { EndpointProxy } from "./endpoints.js";
import type { LocalEndpoint, LocalEndpoints } from "./local.js";
import type { ServiceProxy } from "./services.js";
import type { Upstream } from "./upstream.js";

/** Nothing is renewed for a registrant that should have done it by now. */
const leastLifeMs = 2_000;
const againMs = 500;

export interface KeeperParts {
  readonly local: LocalEndpoints;
  readonly upstream: Upstream<NetworkServiceEndpoint>;
  readonly endpoints: EndpointProxy;
  readonly services: ServiceProxy;
  readonly ownUrl: string;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Keeps the registry knowing what is on this node. It watches what the registry has under nsmgr's url; what is missing there
 * or otherwise (the registry came back empty, or as it was before, or dropped it) is registered again until its registrant's own expiry, what left
 * while the registry was away is taken out.
 */
export class Keeper implements AsyncDisposable {
  readonly #parts: KeeperParts;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #reachable = false;

  constructor(parts: KeeperParts) {
    this.#parts = parts;
    this.#running = this.#run();
  }

  /** Whether the registry answered last time. */
  get reachable(): boolean {
    return this.#reachable;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        await this.#reconcile(signal);
        await this.#follow(signal);
      } catch (error) {
        if (!signal.aborted) this.#parts.log.warn("registry lost", { error: asMeshError(error).message });
      }
      this.#reachable = false;
      await this.#parts.clock.sleep(againMs, signal).catch(() => {});
    }
  }

  /** Compares what the registry has of this node with what is here. */
  async #reconcile(signal: AbortSignal): Promise<void> {
    const { endpoints, local, log } = this.#parts;
    const claims = await this.#claims(signal);
    this.#reachable = true;
    for (const name of claims.keys()) {
      if (local.get(name) === undefined && (await endpoints.withdraw(name, signal))) log.info("endpoint withdrawn", { endpoint: name });
    }
    // It may have less than that, or what was said before that.
    for (const entry of local.all()) if (!saysSame(entry.endpoint, claims.get(entry.endpoint.name))) await this.#restore(entry, signal);
  }

  async #claims(signal: AbortSignal): Promise<Map<string, NetworkServiceEndpoint>> {
    const claims = new Map<string, NetworkServiceEndpoint>();
    const query = NetworkServiceEndpoint.fromPartial({ url: this.#parts.ownUrl });
    for await (const { value } of this.#parts.upstream.registry.find(query, { watch: false }, { signal }))
      if (value.url === this.#parts.ownUrl) claims.set(value.name, value);
    return claims;
  }

  /** Until the watch breaks. */
  async #follow(signal: AbortSignal): Promise<void> {
    const query = NetworkServiceEndpoint.fromPartial({ url: this.#parts.ownUrl });
    for await (const { value, deleted } of this.#parts.upstream.registry.find(query, { watch: true }, { signal })) {
      if (!deleted) continue;
      const entry = this.#parts.local.get(value.name);
      if (entry !== undefined) await this.#restore(entry, signal);
    }
  }

  async #restore(entry: LocalEndpoint, signal: AbortSignal): Promise<void> {
    const { endpoints, services, local, clock, log } = this.#parts;
    if (entry.expires - clock.now() < leastLifeMs) return;
    const { name, networkServiceNames } = entry.endpoint;
    const endpoint = { ...entry.endpoint, expirationTime: toTimestamp(entry.expires) };
    try {
      const restored = await services.restore(networkServiceNames, signal);
      await endpoints.publish({ ...entry, endpoint }, { signal });
      log.info("endpoint registered again", { endpoint: name, services: restored });
    } catch (error) {
      if (isAway(error)) throw error;
      const { code, message } = asMeshError(error);
      log.warn("endpoint not registered again", { endpoint: name, error: message });
      // Its registrant sees that it is gone, and can say what is true now.
      if (code === "moved") await local.remove(name);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }
}

function saysSame(here: NetworkServiceEndpoint, there: NetworkServiceEndpoint | undefined): boolean {
  if (there === undefined) return false;
  const said = ({ networkServiceNames, networkServiceLabels }: NetworkServiceEndpoint) => [networkServiceNames, networkServiceLabels];
  return sameMessage(said(here), said(there));
}
