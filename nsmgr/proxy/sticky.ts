import type { StickyLease } from "../../api/gen/isthmus/v1/segment.js";
import type { Clock } from "../../core/clock.js";
import { MeshError } from "../../core/error.js";
import type { Link } from "../../core/peer.js";
import type { StickyApi, StickyAsk } from "../../rpc/sticky.js";
import { Turns } from "../../rpc/turns.js";

export interface StickyProxyParts {
  /** At least one; replicas of one registry. */
  readonly registries: readonly [StickyApi, ...StickyApi[]];
  /** Whether this is the SPIFFE id of a forwarder that is registered on this node. */
  readonly isForwarder: (id: string) => boolean;
  readonly clock: Clock;
}

/**
 * The sticky names of segments as the forwarders of this node ask for them: of the site's registry, in the name of the node. Nobody else
 * is answered, for who claims a name cuts off who has it.
 */
export class StickyProxy implements StickyApi {
  readonly #parts: StickyProxyParts;
  readonly #turns: Turns<StickyApi>;

  constructor(parts: StickyProxyParts) {
    this.#parts = parts;
    this.#turns = new Turns(parts.registries, parts.clock);
  }

  async claim(ask: StickyAsk & { readonly wishes: readonly string[] }, signal: AbortSignal, link?: Link): Promise<StickyLease> {
    const inName = this.#inName(ask, link);
    return await this.#turns.ask(signal, (registry, limited) => registry.claim({ ...ask, ...inName }, limited));
  }

  async release(ask: StickyAsk, signal: AbortSignal, link?: Link): Promise<void> {
    const inName = this.#inName(ask, link);
    await this.#turns.ask(signal, (registry, limited) => registry.release({ ...ask, ...inName }, limited));
  }

  /** Whoever calls is who has it, whatever the call says. */
  #inName({ segment }: StickyAsk, link: Link | undefined): Pick<StickyAsk, "forwarder" | "nsmgr"> {
    const forwarder = link?.peer.id;
    if (forwarder !== undefined && !this.#parts.isForwarder(forwarder))
      throw new MeshError(
        "denied",
        `${forwarder} is no forwarder that is registered on this node; sticky names of the segment ${segment} are given to those only`,
      );
    return { forwarder, nsmgr: undefined };
  }
}
