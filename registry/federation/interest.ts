import { NetworkService, NetworkServiceEndpoint } from "../../api/gen/registry/registry.js";
import type { Clock } from "../../core/clock.js";
import { asMeshError } from "../../core/error.js";
import type { Log } from "../../core/log.js";
import { pausesUntil } from "../../core/pauses.js";
import { openWatch } from "../../rpc/opening.js";
import type { EndpointRegistry, ServiceRegistry } from "../../rpc/registry.js";
import { linked } from "../../rpc/signals.js";
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
    const { clock, log } = this.#parts;
    for await (const pauses of pausesUntil(signal, clock)) {
      using attempt = linked(signal);
      const opened = this.#open(from, attempt.signal);
      try {
        await Promise.all(opened.map(({ listed }) => listed));
        pauses.reset();
        this.#settle();
        await Promise.race(opened.map(({ ended }) => ended));
      } catch (error) {
        if (!signal.aborted) log.debug("other site not watched", { ...this.#wish, reason: asMeshError(error).message });
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

  #open(from: { readonly services: ServiceRegistry; readonly endpoints: EndpointRegistry }, signal: AbortSignal) {
    const wish = this.#wish;
    const { services, endpoints } = this.#parts;
    const nameOf = ({ name }: { readonly name: string }) => name;
    const query = "service" in wish ? { networkServiceNames: [wish.service] } : { name: wish.endpoint };
    const opened = [
      openWatch(
        { registry: from.endpoints, query: NetworkServiceEndpoint.fromPartial(query), nameOf, kept: endpoints.through(this) },
        signal,
      ),
    ];
    if ("service" in wish)
      opened.push(
        openWatch(
          { registry: from.services, query: NetworkService.fromPartial({ name: wish.service }), nameOf, kept: services.through(this) },
          signal,
        ),
      );
    return opened;
  }
}

export function wishKey(wish: Wish): string {
  return "service" in wish ? `s ${wish.service}` : `e ${wish.endpoint}`;
}
