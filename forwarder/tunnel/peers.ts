import type { Clock } from "../../core/clock.js";
import type { StateStore } from "../../program/state.js";
import type { Dataplane } from "../dataplane.js";
import { desiredPeer, type TunnelNode, type TunnelPeer } from "../desired.js";

/** A peer of the node tunnel, and what this run found out about the way to it. */
export interface Peer {
  value: TunnelPeer;
  /** When it was last seen in use, by the monotonic clock. */
  usedAt: number;
  /** Ends when the way is measured, once in a run. */
  measured: Promise<void> | undefined;
  /** Ends when packets are known to cross; forgotten when the peer is out of use for a while. */
  proven: Promise<void> | undefined;
  /** While it is being waited for, or gone to. */
  meeting: Promise<void> | undefined;
  /** When it was met last, by the monotonic clock. */
  metAt: number;
}

const prefix = "peer/";

/** The peers, on disk before they are in the kernel. */
export class Peers {
  readonly #parts: { readonly node: TunnelNode; readonly store: StateStore; readonly dataplane: Dataplane; readonly clock: Clock };
  readonly #peers = new Map<string, Peer>();

  constructor(parts: { readonly node: TunnelNode; readonly store: StateStore; readonly dataplane: Dataplane; readonly clock: Clock }) {
    this.#parts = parts;
  }

  /** Wants what an earlier run knew. */
  load(): void {
    for (const [, value] of this.#parts.store.entries<TunnelPeer>(prefix)) {
      this.#peers.set(value.address, this.#fresh(value));
      this.#want(value);
    }
  }

  get(address: string): Peer | undefined {
    return this.#peers.get(address);
  }

  list(): Peer[] {
    return [...this.#peers.values()];
  }

  /** Keeps what is known of a peer; another key makes it another peer at the same address. Resolves when it is wanted. */
  async keep(value: TunnelPeer): Promise<Peer> {
    await this.#parts.store.put(prefix + value.address, value);
    const old = this.#peers.get(value.address);
    const peer = old?.value.publicKey === value.publicKey ? old : this.#fresh(value);
    peer.value = value;
    this.#peers.set(value.address, peer);
    this.#want(value);
    return peer;
  }

  /** Resolves when WireGuard has the peer as it is known now. */
  async settled(address: string, signal: AbortSignal): Promise<void> {
    await this.#parts.dataplane.settled(prefix + address, signal);
  }

  /** Takes the peer out of WireGuard and puts it in again: its session is begun anew. */
  async again(address: string, signal: AbortSignal): Promise<void> {
    this.#parts.dataplane.drop(prefix + address);
    await this.settled(address, signal);
    const peer = this.#peers.get(address);
    if (peer !== undefined) this.#want(peer.value);
    await this.settled(address, signal);
  }

  async forget(address: string): Promise<void> {
    this.#peers.delete(address);
    await this.#parts.store.remove(prefix + address);
    // Somebody may have come for it meanwhile.
    if (!this.#peers.has(address)) this.#parts.dataplane.drop(prefix + address);
  }

  #fresh(value: TunnelPeer): Peer {
    const never = Number.NEGATIVE_INFINITY;
    return { value, usedAt: this.#parts.clock.monotonic(), measured: undefined, proven: undefined, meeting: undefined, metAt: never };
  }

  #want(value: TunnelPeer): void {
    this.#parts.dataplane.set(prefix + value.address, desiredPeer(value, this.#parts.node));
  }
}
