import type { SiteInfo } from "../../api/gen/isthmus/v1/site.js";
import type { NetworkService, NetworkServiceEndpoint } from "../../api/gen/registry/registry.js";
import { background } from "../../core/background.js";
import type { Clock } from "../../core/clock.js";
import { asMeshError, MeshError } from "../../core/error.js";
import type { Log } from "../../core/log.js";
import type { Peer as Authenticated } from "../../core/peer.js";
import { inSite } from "../../core/siteNames.js";
import { stale } from "../../core/stale.js";
import { parseSpiffeId } from "../../identity/spiffe.js";
import type { PeerSet } from "../../rpc/peers.js";
import { endpointKind, serviceKind } from "../kind.js";
import type { SegmentBook } from "../segments/book.js";
import type { Copies } from "../segments/copies.js";
import { Shown } from "../shown.js";
import { endpointFrom, serviceFrom } from "./fromAbroad.js";
import { Imported } from "./imported.js";
import type { Wish } from "./interest.js";
import { wishKey } from "./interest.js";
import { Peer } from "./peer.js";
import { type Site, siteOf } from "./site.js";
import { notJoined, type Sites } from "./sites.js";
import { TakingPart } from "./takingPart.js";

export interface FederationParts {
  readonly sites: Sites;
  readonly dial: (site: Site) => PeerSet;
  /** The segments of this site, and those of others. */
  readonly segments: SegmentBook;
  readonly copies: Pick<Copies, "follow" | "keepOnly">;
  /** Hears whom this site trusts besides itself, at once and after each change. */
  readonly trust: (sites: readonly Site[]) => void;
  readonly random: () => number;
  readonly clock: Clock;
  readonly log: Log;
}

interface Everywhere {
  users: number;
  readonly wish: Wish;
  readonly byPeer: Map<Peer, ReturnType<Peer["want"]>>;
}

/** The sites that this one is joined with, and what is known of them here. */
export class Federation implements AsyncDisposable {
  /** Services of other sites, as `echo@tokyo`. */
  readonly services = new Shown(serviceKind);
  /** The same by their plain names: of sites that have the same one, the first by name. */
  readonly plainServices = new Shown(serviceKind);
  /** Endpoints of other sites, as `echo-1@tokyo`, of the services `echo` and `echo@tokyo`. */
  readonly endpoints = new Shown(endpointKind);
  readonly sites: Sites;
  readonly #parts: FederationParts;
  readonly #peers = new Map<string, Peer>();
  readonly #everywhere = new Map<string, Everywhere>();
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  readonly #listening: Disposable;
  readonly #takingPart: TakingPart;

  constructor(parts: FederationParts) {
    this.#parts = parts;
    this.sites = parts.sites;
    this.#takingPart = new TakingPart(parts.segments);
    this.#adopt();
    this.#running = this.#follow();
    this.#listening = parts.segments.listen(() => this.#showAgain());
  }

  /** By name. */
  get peers(): Peer[] {
    return [...this.#peers.values()].sort((a, b) => (a.site.name < b.site.name ? -1 : 1));
  }

  /** Throws "not-found" for a site that is not joined. */
  peer(name: string): Peer {
    const peer = this.#peers.get(name);
    if (peer === undefined) throw notJoined(name, this.sites);
    return peer;
  }

  /** Wants it of every site, also of those that join later. */
  want(wish: Wish): { readonly settled: readonly Promise<void>[] } & Disposable {
    const key = wishKey(wish);
    const held = this.#everywhere.get(key) ?? { users: 0, wish, byPeer: new Map(this.peers.map((peer) => [peer, peer.want(wish)])) };
    this.#everywhere.set(key, held);
    held.users += 1;
    return {
      settled: [...held.byPeer.values()].map(({ settled }) => settled),
      [Symbol.dispose]: () => {
        held.users -= 1;
        if (held.users > 0) return;
        this.#everywhere.delete(key);
        for (const want of held.byPeer.values()) want[Symbol.dispose]();
      },
    };
  }

  /** The joined site that somebody is of; undefined for this very one. Throws "denied" for any other. */
  siteOf({ id }: Authenticated): Peer | undefined {
    const { trustDomain } = parseSpiffeId(id);
    if (trustDomain === this.sites.trustDomain) return undefined;
    const peer = this.peers.find(({ site }) => site.trustDomain === trustDomain);
    if (peer === undefined) throw new MeshError("denied", `${id} is of no site that ${this.sites.name} is joined with`);
    return peer;
  }

  /** The joined site that this is the registry of. Throws "denied" for anybody else. */
  registryOf(caller: Authenticated): Peer {
    const peer = this.siteOf(caller);
    if (peer === undefined) throw new MeshError("denied", `${caller.id} is of this very site; this is for others`);
    const { name, registryId } = peer.site;
    if (caller.id === registryId) return peer;
    throw new MeshError("denied", `${caller.id} is of the site ${name}; of that only its registry, ${registryId}, may ask for this`);
  }

  /** An endpoint of another site as it is called here; undefined for one that is no good here, or of a segment that the site has no part in. */
  endpointFrom(endpoint: NetworkServiceEndpoint, site: Site): NetworkServiceEndpoint | undefined {
    return this.#takingPart.admits(endpoint, site.name) ? endpointFrom(endpoint, site) : undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.#listening[Symbol.dispose]();
    await this.#running;
    await Promise.all([...this.#peers.values()].map((peer) => peer[Symbol.asyncDispose]()));
    for (const shown of [this.services, this.plainServices, this.endpoints]) shown.close();
  }

  async #follow(): Promise<void> {
    for await (const _ of this.sites.watch(this.#stop.signal)) this.#adopt();
  }

  /** Makes the peers those that are joined now. */
  #adopt(): void {
    const joined = this.sites.list();
    this.#parts.trust(joined);
    const names = new Set(joined.map(({ name }) => name));
    background(this.#parts.log, "forgetting the segments of sites that were left", this.#parts.copies.keepOnly([...names]));
    for (const [name, peer] of this.#peers) if (!names.has(name)) this.#leave(name, peer);
    for (const site of joined) {
      const known = this.#peers.get(site.name);
      if (known === undefined) this.#enter(site);
      else known.site = site;
    }
  }

  #enter(site: Site): void {
    const peer = new Peer(site, {
      ...this.#parts,
      ...this.#shelves(site),
      told: (info) => this.#told(site.name, info),
      segments: (watch, signal) => this.#parts.copies.follow(site.name, watch, signal),
    });
    this.#peers.set(site.name, peer);
    for (const { wish, byPeer } of this.#everywhere.values()) byPeer.set(peer, peer.want(wish));
  }

  #leave(name: string, peer: Peer): void {
    this.#peers.delete(name);
    for (const { byPeer } of this.#everywhere.values()) {
      byPeer.get(peer)?.[Symbol.dispose]();
      byPeer.delete(peer);
    }
    this.#parts.log.info("site left", { site: name });
    background(this.#parts.log, "leaving a site", peer[Symbol.asyncDispose]());
  }

  /** What a site says of itself later must come from the site that was joined: who told it has shown its registry's certificate. */
  async #told(name: string, info: SiteInfo): Promise<void> {
    const { sites, log } = this.#parts;
    try {
      const site = siteOf(info);
      const known = sites.get(name);
      if (known === undefined || sameSite(site, known)) return;
      if (site.name !== name || site.trustDomain !== known.trustDomain)
        throw new MeshError("invalid", `it now calls itself ${site.name} (${site.trustDomain})`);
      await sites.change(site);
      log.info("site changed", { site: name, urls: site.urls, authorities: site.bundle.length });
    } catch (error) {
      log.warn("what a site says of itself is not taken over", { site: name, reason: asMeshError(error).message });
    }
  }

  #shelves(site: Site): { services: Imported<NetworkService>; endpoints: Imported<NetworkServiceEndpoint> } {
    return {
      services: new Imported<NetworkService>({
        bytes: (service) => serviceKind.encode(service).length,
        show: (service) => {
          this.services.put(serviceFrom(service, site));
          this.#showPlain(service.name);
        },
        hide: (name) => {
          this.services.delete(inSite(name, site.name));
          this.#showPlain(name);
        },
      }),
      endpoints: new Imported<NetworkServiceEndpoint>({
        bytes: (endpoint) => endpointKind.encode(endpoint).length,
        show: (endpoint, isStale) => {
          const named = this.endpointFrom(endpoint, site);
          if (named !== undefined) this.endpoints.put(isStale ? stale(named) : named);
          else if (!this.endpoints.delete(inSite(endpoint.name, site.name)))
            this.#parts.log.debug("endpoint of another site left out", { site: site.name, endpoint: endpoint.name, url: endpoint.url });
        },
        hide: (name) => void this.endpoints.delete(inSite(name, site.name)),
      }),
    };
  }

  /** Who takes part in a segment may be others now. */
  #showAgain(): void {
    const changed = this.#takingPart.changed();
    for (const peer of this.peers) peer.showAgain(({ networkServiceNames }) => networkServiceNames.some((name) => changed.has(name)));
  }

  #showPlain(name: string): void {
    const [first] = this.peers.flatMap(({ site }) => this.services.get(inSite(name, site.name)) ?? []);
    if (first === undefined) this.plainServices.delete(name);
    else this.plainServices.put({ ...first, name });
  }
}

function sameSite(a: Site, b: Site): boolean {
  const text = ({ bundle, ...rest }: Site) => JSON.stringify([rest, bundle.map(({ fingerprint256 }) => fingerprint256)]);
  return text(a) === text(b);
}
