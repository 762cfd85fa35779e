import { background } from "../../core/background.js";
import type { Clock } from "../../core/clock.js";
import { MeshError } from "../../core/error.js";
import type { Log } from "../../core/log.js";
import type { PeerStatus } from "../../kernel/parts.js";
import type { StateStore } from "../../program/state.js";
import type { Dataplane } from "../dataplane.js";
import { desiredPeer, desiredTunnel, type TunnelNode, type TunnelPeer } from "../desired.js";
import { handshake, isFresh } from "./handshake.js";

/** What the tunnel must be able to see and measure. */
export interface TunnelLink {
  status(device: string): Promise<PeerStatus[]>;
  /** The largest packet that reaches a tunnel address whole, and comes back; undefined: none did. At most `most`. */
  pathMtu(address: string, most: number, signal: AbortSignal): Promise<number | undefined>;
}

export interface TunnelParts {
  readonly node: TunnelNode;
  readonly link: TunnelLink;
  readonly store: StateStore;
  readonly dataplane: Dataplane;
  readonly clock: Clock;
  readonly log: Log;
  /** Whether a connection goes to that tunnel address. */
  readonly inUse: (address: string) => boolean;
  /** What is known of a peer has changed; its connections' objects are to be written anew. */
  readonly onPeerChange: (address: string) => void;
}

interface Peer {
  readonly value: TunnelPeer;
  /** When it was last seen in use, by the monotonic clock. */
  usedAt: number;
  measured: Promise<void> | undefined;
}

const prefix = "peer/";
const tunnelUnit = "tunnel";
const tickMs = 10_000;
const keptMs = 180_000;
const patienceMs = 6_000;
const answeringPatienceMs = 15_000;

/** The node's one WireGuard device and the nodes it talks to. A peer stays for 3 minutes after its last use. */
export class NodeTunnel implements Disposable {
  readonly #parts: TunnelParts;
  readonly #peers = new Map<string, Peer>();
  readonly #stop = new AbortController();
  #tick: Disposable | undefined;

  constructor(parts: TunnelParts) {
    this.#parts = parts;
  }

  get node(): TunnelNode {
    return this.#parts.node;
  }

  /** Wants the device, and the peers that an earlier run knew, at where they were last seen. */
  load(): void {
    const { dataplane, store, clock } = this.#parts;
    dataplane.set(tunnelUnit, desiredTunnel(this.node));
    for (const [, value] of store.entries<TunnelPeer>(prefix)) {
      this.#peers.set(value.address, { value, usedAt: clock.monotonic(), measured: undefined });
      dataplane.set(prefix + value.address, desiredPeer(value, this.node));
    }
    this.#arm();
  }

  /** What is measured of the way to a peer. */
  peerMtu(address: string): number | undefined {
    return this.#peers.get(address)?.value.mtu;
  }

  /** Resolves when WireGuard knows the peer. Without `endpoint` the peer is waited for; one that is known keeps where it was seen. */
  async use(
    peer: { readonly address: string; readonly publicKey: string; readonly endpoint?: string },
    signal: AbortSignal,
  ): Promise<void> {
    if (peer.address === this.node.address) throw new MeshError("invalid", "the other end of the node tunnel is this node itself");
    const known = this.#peers.get(peer.address);
    const same = known?.value.publicKey === peer.publicKey;
    const before = same ? known.value : undefined;
    const { address, publicKey } = peer;
    const endpoint = (await this.#better(before, peer.endpoint)) ?? before?.endpoint;
    if (before === undefined || endpoint !== before.endpoint) {
      const measured = before?.mtu === undefined ? {} : { mtu: before.mtu };
      await this.#keep({ address, publicKey, ...(endpoint === undefined ? {} : { endpoint }), ...measured });
      await this.#parts.dataplane.settled(prefix + address, signal);
    }
    this.#touch(address);
  }

  /** For the side that asked: resolves when packets go through and the way is measured. Throws "unreachable" without a handshake. */
  async ready(address: string, signal: AbortSignal): Promise<void> {
    const peer = this.#peers.get(address);
    if (peer === undefined) throw new MeshError("internal", `the node tunnel has no peer ${address}`);
    const { publicKey, endpoint = "" } = peer.value;
    if (!(await handshake(this.#watch(), { device: this.node.device, publicKey }, patienceMs, signal))) {
      throw new MeshError(
        "unreachable",
        `no WireGuard handshake with ${endpoint} in ${patienceMs / 1000} s; can UDP reach that address and port from this node?`,
      );
    }
    await this.#measure(peer);
  }

  /** For the side that answered: measures the way as soon as the peer has come. */
  expect(address: string): void {
    const peer = this.#peers.get(address);
    if (peer === undefined || peer.value.mtu !== undefined || peer.measured !== undefined) return;
    const wait = async () => {
      const at = { device: this.node.device, publicKey: peer.value.publicKey };
      if (await handshake(this.#watch(), at, answeringPatienceMs, this.#stop.signal)) await this.#measure(peer);
    };
    background(this.#parts.log, "measuring the way to a peer", wait());
  }

  [Symbol.dispose](): void {
    this.#stop.abort(new MeshError("cancelled", "the forwarder stops"));
    this.#tick?.[Symbol.dispose]();
  }

  /** The endpoint to set: what the peer says of itself, unless it is reached already, wherever it was seen last. */
  async #better(known: TunnelPeer | undefined, said: string | undefined): Promise<string | undefined> {
    if (known?.endpoint === undefined || said === undefined || known.endpoint === said) return said;
    const status = (await this.#parts.link.status(this.node.device)).find(({ publicKey }) => publicKey === known.publicKey);
    return status !== undefined && isFresh(status, this.#parts.clock.now()) ? undefined : said;
  }

  async #keep(value: TunnelPeer): Promise<void> {
    const { store, dataplane, clock } = this.#parts;
    await store.put(prefix + value.address, value);
    const old = this.#peers.get(value.address);
    const measured = old?.value.publicKey === value.publicKey ? old.measured : undefined;
    this.#peers.set(value.address, { value, usedAt: clock.monotonic(), measured });
    dataplane.set(prefix + value.address, desiredPeer(value, this.node));
  }

  /** Once for each run and peer, shared by all who wait; a way that cannot be measured is taken to be as the device has it. */
  async #measure(peer: Peer): Promise<void> {
    peer.measured ??= this.#measureOnce(peer.value);
    await peer.measured;
  }

  async #measureOnce({ address }: TunnelPeer): Promise<void> {
    const { link, log, dataplane } = this.#parts;
    const mtu = await link.pathMtu(address, this.node.mtu, this.#stop.signal);
    const value = this.#peers.get(address)?.value;
    log.info("way to a peer measured", { peer: address, mtu });
    if (value === undefined || mtu === undefined || mtu === value.mtu) return;
    await this.#keep({ ...value, mtu });
    await dataplane.settled(prefix + address, this.#stop.signal);
    this.#parts.onPeerChange(address);
  }

  #watch(): { status: TunnelLink["status"]; clock: Clock } {
    return { status: (device) => this.#parts.link.status(device), clock: this.#parts.clock };
  }

  #touch(address: string): void {
    const peer = this.#peers.get(address);
    if (peer !== undefined) peer.usedAt = this.#parts.clock.monotonic();
  }

  #arm(): void {
    this.#tick = this.#parts.clock.after(tickMs, () => {
      background(this.#parts.log, "looking after the node tunnel", this.#lookAfter());
      this.#arm();
    });
  }

  /** Keeps where peers were seen, measures those that came late, and lets go of those that nobody uses. */
  async #lookAfter(): Promise<void> {
    const seen = new Map((await this.#parts.link.status(this.node.device)).map((status) => [status.publicKey, status]));
    for (const [address, peer] of [...this.#peers]) {
      if (this.#parts.inUse(address)) this.#touch(address);
      else if (this.#parts.clock.monotonic() - peer.usedAt >= keptMs) {
        await this.#forget(address);
        continue;
      }
      const status = seen.get(peer.value.publicKey);
      if (status === undefined || !isFresh(status, this.#parts.clock.now())) continue;
      if (status.endpoint !== undefined && status.endpoint !== peer.value.endpoint) await this.#learn(address, status.endpoint);
      if (peer.measured === undefined) background(this.#parts.log, "measuring the way to a peer", this.#measure(peer));
    }
  }

  async #learn(address: string, endpoint: string): Promise<void> {
    const peer = this.#peers.get(address);
    if (peer === undefined) return;
    const { usedAt } = peer;
    await this.#keep({ ...peer.value, endpoint });
    const now = this.#peers.get(address);
    if (now !== undefined) now.usedAt = usedAt;
  }

  async #forget(address: string): Promise<void> {
    this.#parts.log.info("peer forgotten", { peer: address });
    this.#peers.delete(address);
    await this.#parts.store.remove(prefix + address);
    if (!this.#peers.has(address)) this.#parts.dataplane.drop(prefix + address);
  }
}
