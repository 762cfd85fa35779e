import { background } from "../../core/background.js";
import type { Clock } from "../../core/clock.js";
import { asMeshError, MeshError } from "../../core/error.js";
import type { Log } from "../../core/log.js";
import type { Meter } from "../../core/meter.js";
import type { StateStore } from "../../program/state.js";
import { abortable } from "../../rpc/signals.js";
import type { Dataplane } from "../dataplane.js";
import { desiredTunnel, type TunnelNode, type TunnelPeer } from "../desired.js";
import { handshake, isFresh } from "./handshake.js";
import type { TunnelLink } from "./link.js";
import { type Expected, meet } from "./meeting.js";
import { type Peer, Peers } from "./peers.js";
import { Traffic } from "./traffic.js";

export interface TunnelParts {
  readonly node: TunnelNode;
  readonly link: TunnelLink;
  readonly store: StateStore;
  readonly dataplane: Dataplane;
  readonly clock: Clock;
  readonly log: Log;
  readonly meter: Meter;
  /** Whether a connection goes to that tunnel address. */
  readonly inUse: (address: string) => boolean;
  /** What is known of a peer has changed; its connections' objects are to be written anew. */
  readonly onPeerChange: (address: string) => void;
}

const tickMs = 10_000;
const keptMs = 180_000;
/** A peer keeps us as long as we keep it, so one that was in use a moment ago knows us. */
const provenMs = 30_000;
const patienceMs = 6_000;

/** The node's one WireGuard device and the nodes it talks to. A peer stays for 3 minutes after its last use. */
export class NodeTunnel implements Disposable {
  readonly #parts: TunnelParts;
  readonly #peers: Peers;
  readonly #traffic = new Traffic();
  readonly #stop = new AbortController();
  #tick: Disposable | undefined;

  constructor(parts: TunnelParts) {
    this.#parts = parts;
    this.#peers = new Peers(parts);
    const status = () => parts.link.status(parts.node.device);
    this.#traffic.tell(parts.meter, status, () => this.#peers.list().map(({ value }) => value));
  }

  get node(): TunnelNode {
    return this.#parts.node;
  }

  /** Wants the device, and the peers that an earlier run knew, at where they were last seen. */
  load(): void {
    this.#parts.dataplane.set("tunnel", desiredTunnel(this.node));
    this.#peers.load();
    this.#arm();
  }

  /** What is measured of the way to a peer. */
  peerMtu(address: string): number | undefined {
    return this.#peers.get(address)?.value.mtu;
  }

  /**
   * Resolves when WireGuard knows the peer. Without `endpoint` the peer is waited for; one that is known keeps where it was seen. `proven`: it
   * has shown that the key is its own. Else "denied" where another peer in use has the key: WireGuard would send that one's packets to it no more.
   */
  async use(
    asked: { readonly address: string; readonly publicKey: string; readonly endpoint?: string | undefined; readonly proven?: boolean },
    signal: AbortSignal,
  ): Promise<void> {
    const { address, publicKey } = asked;
    if (address === this.node.address || publicKey === this.node.publicKey)
      throw new MeshError(
        "invalid",
        "the other end of the node tunnel is this node itself, or its forwarder has this one's SPIFFE id: each needs one of its own",
      );
    await this.#mustBeFree(asked);
    const known = this.#peers.get(address);
    if (known !== undefined && !this.#parts.inUse(address) && this.#parts.clock.monotonic() - known.usedAt >= provenMs)
      known.proven = undefined;
    const before = known?.value.publicKey === publicKey ? known.value : undefined;
    const endpoint = (await this.#better(before, asked.endpoint)) ?? before?.endpoint;
    if (before === undefined || endpoint !== before.endpoint) {
      await this.#peers.keep({ ...before, address, publicKey, ...(endpoint === undefined ? {} : { endpoint }) });
      await this.#peers.settled(address, signal);
    }
    this.#touch(address);
  }

  /** WireGuard knows a peer by its key: two with one would take each other's place, over and over. */
  async #mustBeFree({
    address,
    publicKey,
    proven = false,
  }: {
    readonly address: string;
    readonly publicKey: string;
    readonly proven?: boolean;
  }) {
    const other = this.#peers.list().find(({ value }) => value.publicKey === publicKey && value.address !== address)?.value.address;
    if (other === undefined) return;
    if (!proven && this.#parts.inUse(other))
      throw new MeshError("denied", `the node at ${address} says that it has the key of the node at ${other}; each needs one of its own`);
    this.#parts.log.warn("peer forgotten, another one has its key", { peer: other, by: address });
    await this.#peers.forget(other);
  }

  /** For the side that asked: resolves when packets go through and the way is measured. Throws "unreachable" without a handshake. */
  async ready(address: string, signal: AbortSignal): Promise<void> {
    const peer = this.#peers.get(address);
    if (peer === undefined) throw new MeshError("internal", `the node tunnel has no peer ${address}`);
    peer.proven ??= this.#prove(peer).catch((error: unknown) => {
      peer.proven = undefined;
      throw error;
    });
    await abortable(peer.proven, signal);
    await abortable(this.#measure(peer), signal);
  }

  /** For the side that answered: meets the peer, remembers where, and measures the way. Resolves when that is over, whatever came of it. */
  async expect(address: string, asked: Expected): Promise<void> {
    const peer = this.#peers.get(address);
    const isKnown = peer !== undefined && this.#parts.clock.monotonic() - peer.metAt < provenMs;
    if (peer === undefined || isKnown) return;
    peer.meeting ??= this.#meet(peer, asked)
      .catch((error: unknown) => {
        const { code, message } = asMeshError(error);
        this.#parts.log.warn("meeting a peer failed", { code, message });
      })
      .finally(() => {
        peer.meeting = undefined;
      });
    await peer.meeting;
  }

  async #meet(peer: Peer, asked: Expected): Promise<void> {
    const parts = { ...this.#parts, peers: this.#peers, device: this.node.device, signal: this.#stop.signal };
    if (!(await meet(parts, peer, asked))) return;
    await this.#remember(peer);
    await this.#measure(peer);
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

  /**
   * A peer that nobody used for a while may have forgotten us: then our session is good for nothing, and WireGuard would notice in 15 s.
   * So an old one is tried, and begun anew where nothing comes back.
   */
  async #prove(peer: Peer): Promise<void> {
    const { link, log } = this.#parts;
    const { signal } = this.#stop;
    const { address, endpoint } = peer.value;
    if (await this.#shakesHands(peer, 0)) {
      if (await link.reaches(address, signal)) return;
      log.info("peer does not know us any more, beginning anew", { peer: address });
      await this.#peers.again(address, signal);
    }
    if (await this.#shakesHands(peer, patienceMs)) return await this.#remember(peer);
    const sentence =
      endpoint === undefined
        ? `the node at the other end begins the tunnel (NSM_EXTERNAL_ADDRESS=none there), and did not in ${patienceMs / 1000} s; does UDP reach this node at the address and port that it gives (NSM_EXTERNAL_ADDRESS, NSM_TUNNEL_IP)?`
        : `no WireGuard handshake with ${endpoint} in ${patienceMs / 1000} s; can UDP reach that address and port from this node, or this node from there?`;
    throw new MeshError("unreachable", sentence);
  }

  /** Where it is seen now, on disk: after a restart of WireGuard it is looked for there. */
  async #remember(peer: Peer): Promise<void> {
    peer.metAt = this.#parts.clock.monotonic();
    const { address, publicKey, endpoint } = peer.value;
    const seen = (await this.#parts.link.status(this.node.device)).find((status) => status.publicKey === publicKey)?.endpoint;
    if (seen !== undefined && seen !== endpoint && this.#peers.get(address) === peer)
      await this.#peers.keep({ ...peer.value, endpoint: seen });
  }

  #shakesHands({ value }: Peer, withinMs: number): Promise<boolean> {
    return handshake(this.#parts, { device: this.node.device, publicKey: value.publicKey }, withinMs, this.#stop.signal);
  }

  /** Once for each run and peer, shared by all who wait; a way that cannot be measured is taken to be as the device has it. */
  #measure(peer: Peer): Promise<void> {
    peer.measured ??= this.#measureOnce(peer.value.address).catch((error: unknown) => {
      this.#parts.log.warn("way to a peer not measured", { peer: peer.value.address, error: asMeshError(error).message });
    });
    return peer.measured;
  }

  async #measureOnce(address: string): Promise<void> {
    const { link, log } = this.#parts;
    const mtu = await link.pathMtu(address, this.node.mtu, this.#stop.signal);
    const value = this.#peers.get(address)?.value;
    log.info("way to a peer measured", { peer: address, mtu });
    if (value === undefined || mtu === undefined || mtu === value.mtu) return;
    await this.#peers.keep({ ...value, mtu });
    await this.#peers.settled(address, this.#stop.signal);
    this.#parts.onPeerChange(address);
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
    const { link, clock, log, inUse } = this.#parts;
    const statuses = await link.status(this.node.device);
    this.#traffic.note(statuses);
    const seen = new Map(statuses.map((status) => [status.publicKey, status]));
    for (const peer of this.#peers.list()) {
      const { address, publicKey, endpoint } = peer.value;
      if (inUse(address)) this.#touch(address);
      else if (clock.monotonic() - peer.usedAt >= keptMs) {
        log.info("peer forgotten", { peer: address });
        await this.#peers.forget(address);
        continue;
      }
      const status = seen.get(publicKey);
      if (status === undefined || !isFresh(status, clock.now())) continue;
      if (status.endpoint !== undefined && status.endpoint !== endpoint)
        await this.#peers.keep({ ...peer.value, endpoint: status.endpoint });
      background(log, "measuring the way to a peer", this.#measure(peer));
    }
  }
}
