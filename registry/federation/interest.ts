import { NetworkService, NetworkServiceEndpoint } from "../../api/gen/registry/registry.js";
import type { Clock } from "../../core/clock.js";
import { asMeshError, type MeshError } from "../../core/error.js";
import type { Log } from "../../core/log.js";
import { pausesUntil } from "../../core/pauses.js";
import { openWatch } from "../../rpc/opening.js";
import type { EndpointRegistry, Registry, ServiceRegistry } from "../../rpc/registry.js";
import { linked } from "../../rpc/signals.js";
import { endpointKind, type Kind, serviceKind } from "../kind.js";
import type { Imported } from "./imported.js";

/** What somebody in this site asked another for: a service and who serves it, or an endpoint by its name. Names are the other site's. */
export type Wish = { readonly service: string } | { readonly endpoint: string };

export interface InterestParts {
  readonly services: Imported<NetworkService>;
  readonly endpoints: Imported<NetworkServiceEndpoint>;
  readonly clock: Clock;
  readonly log: Log;
}

/** One wish at one other site, however many have it: one watch in each of its registries. */
export class Interest {
  readonly #wish: Wish;
  readonly #parts: InterestParts;
  #settle: () => void = () => {};
  #told = "";
  /** Resolves when the other site has answered for the first time, or it turned out that it does not for now. */
  readonly settled: Promise<void>;

  constructor(wish: Wish, parts: InterestParts) {
    this.#wish = wish;
    this.#parts = parts;
    this.settled = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  /** Nobody should wait for the first answer. */
  giveUp(): void {
    this.#settle();
  }

  /** Watches until the signal ends; what is known stays known then. Never rejects. */
  async follow(from: { readonly services: ServiceRegistry; readonly endpoints: EndpointRegistry }, signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    for await (const pauses of pausesUntil(signal, clock)) {
      using attempt = linked(signal);
      const opened = this.#open(from, attempt.signal);
      try {
        await Promise.all(opened.map(({ listed }) => listed));
        pauses.reset();
        this.#settle();
        const why = await Promise.race(opened.map(({ ended }) => ended));
        if (why !== undefined) throw why;
      } catch (error) {
        if (!signal.aborted) this.#failed(asMeshError(error));
        this.#settle();
      } finally {
        attempt.abort();
        await Promise.allSettled(opened.flatMap(({ listed, ended }) => [listed, ended]));
      }
    }
  }

  /** Forgets what is known only through it. */
  end(): void {
    this.#parts.services.drop(this);
    this.#parts.endpoints.drop(this);
    this.#settle();
  }

  #failed({ code, message }: MeshError): void {
    const { log } = this.#parts;
    if (message !== this.#told) log[code === "exhausted" ? "warn" : "debug"]("other site not watched", { ...this.#wish, reason: message });
    this.#told = message;
  }

  #open(from: { readonly services: ServiceRegistry; readonly endpoints: EndpointRegistry }, signal: AbortSignal) {
    const wish = this.#wish;
    const { services, endpoints } = this.#parts;
    const nameOf = ({ name }: { readonly name: string }) => name;
    const query = NetworkServiceEndpoint.fromPartial("service" in wish ? { networkServiceNames: [wish.service] } : { name: wish.endpoint });
    const opened = [openWatch({ registry: asked(from.endpoints, endpointKind), query, nameOf, kept: endpoints.through(this) }, signal)];
    if ("service" in wish) {
      const query = NetworkService.fromPartial({ name: wish.service });
      opened.push(openWatch({ registry: asked(from.services, serviceKind), query, nameOf, kept: services.through(this) }, signal));
    }
    return opened;
  }
}

/** Only what was asked for: another site decides what it answers, not what is known of it here. */
function asked<T>(registry: Pick<Registry<T>, "find">, { matches }: Kind<T>): Pick<Registry<T>, "find"> {
  return {
    async *find(query, options, context) {
      for await (const found of registry.find(query, options, context)) if (found.deleted || matches(query, found.value)) yield found;
    },
  };
}

export function wishKey(wish: Wish): string {
  return "service" in wish ? `s ${wish.service}` : `e ${wish.endpoint}`;
}
