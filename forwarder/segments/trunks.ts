import { background } from "../../core/background.js";
import type { Log } from "../../core/log.js";
import type { SegmentNode } from "../../core/segment/membership.js";
import { tunnelAddress } from "../tunnel/address.js";
import type { NodeTunnel } from "../tunnel/tunnel.js";

export interface TrunksParts {
  readonly tunnel: Pick<NodeTunnel, "node" | "use" | "ready" | "expect">;
  readonly site: string;
  /** Whether nodes of other sites reach this one. */
  readonly isReachedAbroad: boolean;
  readonly log: Log;
}

/** How long a node that is to begin may take, where both sides hear of each other at about the same time. */
const comingMs = 200;

/**
 * The node tunnel to the other nodes of a segment. Both ends hear of each other from the registry and none asks the other, so which of
 * them begins follows from their tunnel addresses, unless only one can be reached; the other waits a moment, and then goes itself.
 */
export class Trunks {
  readonly #parts: TrunksParts;

  constructor(parts: TrunksParts) {
    this.#parts = parts;
  }

  /** Resolves when WireGuard knows the node. That packets go through takes a moment longer: see `ready`. */
  async prepare(node: SegmentNode, signal: AbortSignal): Promise<void> {
    const endpoint = this.#begins(node) ? this.#at(node) : undefined;
    const peer = { address: tunnelAddress(node.id), publicKey: node.publicKey };
    await this.#parts.tunnel.use(endpoint === undefined ? peer : { ...peer, endpoint }, signal);
  }

  /** Begins, or waits to be met. Resolves when packets go through, or when they do not. */
  async ready(node: SegmentNode, signal: AbortSignal): Promise<void> {
    const { tunnel } = this.#parts;
    const address = tunnelAddress(node.id);
    if (this.#begins(node)) await tunnel.ready(address, signal);
    else await tunnel.expect(address, { endpoint: this.#at(node), begins: false, comingMs });
  }

  /** The same, with nobody waiting. */
  meet(node: SegmentNode, signal: AbortSignal, failed: () => void): void {
    const prepared = this.prepare(node, signal).catch((error: unknown) => {
      failed();
      throw error;
    });
    const meeting = prepared.then(() => this.ready(node, signal));
    background(this.#parts.log, "meeting a node of a segment", meeting, { node: node.node, segment: node.segment });
  }

  #at({ site, at, abroad }: SegmentNode): string | undefined {
    return site === this.#parts.site ? at : abroad;
  }

  #begins(node: SegmentNode): boolean {
    const { tunnel, site, isReachedAbroad } = this.#parts;
    if (this.#at(node) === undefined) return false;
    if (node.site !== site && !isReachedAbroad) return true;
    return tunnel.node.address < tunnelAddress(node.id);
  }
}
