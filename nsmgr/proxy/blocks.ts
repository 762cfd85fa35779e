import type { Clock } from "../../core/clock.js";
import { MeshError } from "../../core/error.js";
import type { Link } from "../../core/peer.js";
import type { BlockAsk, BlocksApi } from "../../rpc/blocks.js";
import { Turns } from "../../rpc/turns.js";

export interface BlockProxyParts {
  /** At least one; replicas of one registry. */
  readonly registries: readonly [BlocksApi, ...BlocksApi[]];
  /** Whether this is the SPIFFE id of a forwarder that is registered on this node. */
  readonly isForwarder: (id: string) => boolean;
  readonly clock: Clock;
}

/**
 * The address blocks of segments as the forwarders of this node ask for them: of the site's registry, in the name of the node. Nobody else
 * is answered, for who gives a node's block back takes its addresses from it.
 */
export class BlockProxy implements BlocksApi {
  readonly #parts: BlockProxyParts;
  readonly #turns: Turns<BlocksApi>;

  constructor(parts: BlockProxyParts) {
    this.#parts = parts;
    this.#turns = new Turns(parts.registries, parts.clock);
  }

  async allocate(ask: BlockAsk & { readonly exclude: readonly string[] }, signal: AbortSignal, link?: Link): Promise<string> {
    const inName = this.#inName(ask, link);
    return await this.#turns.ask(signal, (registry, limited) => registry.allocate({ ...ask, ...inName }, limited));
  }

  async release(ask: BlockAsk, signal: AbortSignal, link?: Link): Promise<void> {
    const inName = this.#inName(ask, link);
    await this.#turns.ask(signal, (registry, limited) => registry.release({ ...ask, ...inName }, limited));
  }

  /** Whoever calls is who holds it, whatever the call says. */
  #inName({ segment }: BlockAsk, link: Link | undefined): Pick<BlockAsk, "holder"> {
    const holder = link?.peer.id;
    if (holder !== undefined && !this.#parts.isForwarder(holder))
      throw new MeshError(
        "denied",
        `${holder} is no forwarder that is registered on this node; address blocks of the segment ${segment} are given to those only`,
      );
    return { holder };
  }
}
