import { NetworkServiceEndpoint } from "../../api/gen/registry/registry.js";
import type { Clock } from "../../core/clock.js";
import { asMeshError } from "../../core/error.js";
import type { Log } from "../../core/log.js";
import { labelsFor } from "../../core/match.js";
import { pausesUntil } from "../../core/pauses.js";
import { RecentIds } from "../../core/recentIds.js";
import { type Membership, membershipOf, type SegmentMember, type SegmentNode, speakerOf } from "../../core/segment/membership.js";
import type { StickyWord } from "../../core/segment/stickyWord.js";
import { siteName } from "../../core/siteNames.js";
import { openWatch } from "../../rpc/opening.js";
import type { EndpointRegistry } from "../../rpc/registry.js";
import { linked } from "../../rpc/signals.js";
import { tunnelAddress } from "../tunnel/address.js";
import { canBeMet } from "./credible.js";
import type { Remote } from "./part.js";
import type { Words } from "./remembered.js";

export interface RemotesParts {
  readonly segment: string;
  /** The SPIFFE id of this node's forwarder: what it said itself is no news. */
  readonly own: string;
  /** Of which nodes are whose registrations name no other. */
  readonly site: string;
  /** The segment's, which alone has a say in its sticky names. */
  readonly home: string;
  readonly endpoints: EndpointRegistry;
  /** What an earlier run knew last. It holds as long as those nodes answer, until they say it again. */
  readonly restored: Words;
  /** Whether a node that is not registered any more still answers in the node tunnel. */
  readonly answers: (tunnel: string) => boolean;
  readonly onChange: (remotes: readonly Remote[]) => void;
  /** What the registry has of this node itself under a name: its labels, or nothing. */
  readonly onOwn: (name: string, labels: Readonly<Record<string, string>> | undefined) => void;
  readonly clock: Clock;
  readonly log: Log;
}

/** Changes that come together are told together. */
const gatherMs = 10;
/** A node whose registration ended without a farewell is kept so long while it answers: only its programs may be away. */
const lingerMs = 600_000;
/** So many nodes of a site are taken in: each is a peer of the node tunnel, and is asked for its pulse. */
const mostNodes = 1_024;

interface Known {
  readonly membership: Membership;
  /** Set when its registration ended, by the monotonic clock. */
  endedAt: number | undefined;
}

/** The other nodes that have members in a segment, as the registry tells of them. */
export class Remotes implements AsyncDisposable {
  readonly #parts: RemotesParts;
  /** By the endpoint's name. */
  readonly #known = new Map<string, Known>();
  /** Names of endpoints that made no sense: said once. */
  readonly #odd = new RecentIds(1_024);
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #first: () => void = () => {};
  #soon: Disposable | undefined;
  /** Resolves when the registry has said for the first time who is there. */
  readonly listed: Promise<void>;

  constructor(parts: RemotesParts) {
    this.#parts = parts;
    for (const [name, membership] of parts.restored) this.#known.set(name, { membership, endedAt: parts.clock.monotonic() });
    this.listed = new Promise((resolve) => {
      this.#first = resolve;
    });
    this.#running = this.#run();
  }

  list(): Remote[] {
    this.#forgetSilent();
    const nodes = new Map<string, SegmentNode>();
    const members = new Map<string, SegmentMember[]>();
    for (const { membership } of this.#known.values()) {
      if (membership.kind === "node") nodes.set(membership.node.id, membership.node);
      else if (membership.kind === "members") members.set(membership.id, [...(members.get(membership.id) ?? []), ...membership.members]);
    }
    const sites = new Map<string, number>();
    const counts = ({ site }: SegmentNode) => {
      sites.set(site, (sites.get(site) ?? 0) + 1);
      return (sites.get(site) ?? 0) <= mostNodes;
    };
    const sorted = [...nodes.values()].sort((a, b) => (a.id < b.id ? -1 : 1)).filter(counts);
    return sorted.map((node) => ({ ...node, tunnel: tunnelAddress(node.id), members: members.get(node.id) ?? [] }));
  }

  /** What the segment's home has said of sticky names. */
  get sticky(): StickyWord[] {
    return [...this.#known.values()].flatMap(({ membership }) => (membership.kind === "sticky" ? membership.word : []));
  }

  get words(): Words {
    return new Map([...this.#known].map(([name, { membership }]) => [name, membership]));
  }

  /** Tells of them again, as after somebody stopped answering. */
  changed(): void {
    this.#soon ??= this.#parts.clock.after(gatherMs, () => {
      this.#soon = undefined;
      this.#parts.onChange(this.list());
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.#soon?.[Symbol.dispose]();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    const { segment, endpoints, clock, log } = this.#parts;
    const kept = {
      learn: (endpoint: NetworkServiceEndpoint) => this.#learn(endpoint),
      forget: (name: string) => this.#forget(name),
      names: () => [...this.#known].flatMap(([name, { endedAt }]) => (endedAt === undefined ? [name] : [])),
    };
    const query = NetworkServiceEndpoint.fromPartial({ networkServiceNames: [segment] });
    for await (const pauses of pausesUntil(signal, clock)) {
      using attempt = linked(signal);
      const opened = openWatch({ registry: endpoints, query, nameOf: ({ name }) => name, kept }, attempt.signal);
      try {
        await opened.listed;
        pauses.reset();
        this.#first();
        throw await opened.ended;
      } catch (error) {
        if (!signal.aborted) log.debug("members of a segment not heard", { segment, reason: asMeshError(error).message });
      } finally {
        attempt.abort();
        await opened.ended;
      }
    }
  }

  #learn(endpoint: NetworkServiceEndpoint): void {
    const { own, segment, onOwn } = this.#parts;
    const membership = this.#heard(endpoint);
    if (membership === undefined) return;
    if (speakerOf(membership) === own) return void onOwn(endpoint.name, labelsFor(endpoint, segment));
    if (membership.kind === "farewell") this.#forgetAll(membership.id);
    else this.#known.set(endpoint.name, { membership, endedAt: undefined });
    this.changed();
  }

  /** Of which site something is says the registry, by the endpoint's name: what is said there may be anything. */
  #heard(endpoint: NetworkServiceEndpoint): Membership | undefined {
    const { segment, home, log } = this.#parts;
    const membership = membershipOf(endpoint, segment);
    const { site = this.#parts.site } = siteName(endpoint.name);
    if (membership?.kind === "sticky") return site === home ? membership : undefined;
    if (membership?.kind !== "node") return membership;
    if (canBeMet(membership.node)) return { kind: "node", node: { ...membership.node, site } };
    const { publicKey, vni, at, abroad } = membership.node;
    if (!this.#odd.has(endpoint.name))
      log.warn("node of a segment cannot be met as it says, left out", { segment, endpoint: endpoint.name, publicKey, vni, at, abroad });
    this.#odd.add(endpoint.name);
    return undefined;
  }

  #forgetAll(id: string): void {
    for (const [name, { membership }] of this.#known) if (speakerOf(membership) === id) this.#known.delete(name);
  }

  /** One that said farewell is gone; of one that is only missing, its packets tell. */
  #forget(name: string): void {
    const known = this.#known.get(name);
    if (known === undefined) return void this.#parts.onOwn(name, undefined);
    // What a home has said holds until it says otherwise: it may have forgotten it.
    if (known.membership.kind === "sticky") return;
    known.endedAt = this.#parts.clock.monotonic();
    this.changed();
  }

  #forgetSilent(): void {
    const now = this.#parts.clock.monotonic();
    for (const [name, { membership, endedAt }] of this.#known) {
      if (endedAt === undefined || membership.kind === "sticky") continue;
      if (now - endedAt >= lingerMs || !this.#parts.answers(tunnelAddress(speakerOf(membership)))) this.#known.delete(name);
    }
  }
}
