import { join } from "node:path";
import type { Prover } from "../core/checkTokens.js";
import type { Clock } from "../core/clock.js";
import type { Log } from "../core/log.js";
import { noSinks, type Sinks } from "../core/observed.js";
import type { TokenSource } from "../core/token.js";
import { openAuditLog } from "../program/audit.js";
import type { EndpointRegistry, ServiceRegistry } from "../rpc/registry.js";
import { serve } from "../rpc/server.js";
import { noAuthority } from "./admission/site.js";
import type { RegistryConfig } from "./config.js";
import { Endpoints } from "./endpoints.js";
import type { EtcdOptions } from "./etcd/store.js";
import { registryGauges } from "./gauges.js";
import { openRegistryIdentity } from "./identity.js";
import { endpointKind, serviceKind } from "./kind.js";
import { openLmdbStore } from "./lmdb.js";
import { measured } from "./measured.js";
import { openMemoryStore } from "./memory.js";
import { OwnSite } from "./ownSite.js";
import { siteNodes } from "./policy/nodes.js";
import { offered } from "./policy/offered.js";
import { SitePolicy } from "./policy/sitePolicy.js";
import { segmentAddresses } from "./segments/addresses.js";
import { SegmentsAdmin } from "./segments/admin.js";
import { administeredSegments } from "./segments/administered.js";
import { SegmentBook } from "./segments/book.js";
import { sweepBlocks } from "./segments/writing.js";
import { Services } from "./services.js";
import type { Store } from "./store.js";
import { View } from "./view.js";

export interface RegistryParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly sinks?: Sinks | undefined;
  /** Ends the wait for an identity. */
  readonly signal?: AbortSignal | undefined;
}

/** A registry that answers. Disposing ends its watches, then closes its store. */
export interface RunningRegistry extends AsyncDisposable {
  /** What is really bound. */
  readonly urls: readonly string[];
  /** Its SPIFFE id. */
  readonly id: string;
}

/** Starts a registry in this process: opens the store, reads it, listens. */
export async function start(config: RegistryConfig, parts: RegistryParts): Promise<RunningRegistry> {
  const opened: AsyncDisposable[] = [];
  try {
    const { meter } = parts.sinks ?? noSinks;
    const timing = { meter, clock: parts.clock };
    const store = measured(keep(opened, await openStore(config, parts)), timing);
    const { identity, own } = keep(opened, await openRegistryIdentity(config, parts));
    const { tokens, prover, id } = identity;
    const registries = keep(opened, await openRegistries({ ...parts, store, tokens, prover, expirePeriodMs: config.expirePeriod }));
    const shared = { log: parts.log, hop: config.name };
    const audit = openAuditLog(config.auditLog || join(config.stateDir, "audit.log"), parts);
    opened.push({ [Symbol.asyncDispose]: async () => audit[Symbol.dispose]() });
    const { trustDomain } = identity.source.current.id;
    const nodes = () => siteNodes({ store, trustDomain, endpoints: registries.endpoints, forwarderService: config.forwarderService });
    const policy = keep(opened, await SitePolicy.open({ ...parts, store, trustDomain, nodes, audit }));
    const site = own && new OwnSite(config, { ...parts, ...own, store, identity });
    const federated = site && keep(opened, await site.open(registries, policy));
    const { services, endpoints } = federated ?? registries;
    const { segments } = registries;
    const addresses = segmentAddresses({
      ...parts,
      store,
      site: config.site,
      registryId: id,
      book: segments,
      federation: federated?.federation,
    });
    const inside = { services, endpoints, segments, ...addresses, identity: site?.members, federation: federated?.api };
    const shown = offered({ ...inside, policy, site: config.site, audit, prover, clock: parts.clock });
    const server = keep(opened, await serve({ urls: config.listenOn, services: shown, identity, timing, ...shared }));
    site?.listens(server.urls);
    const joined = () => federated?.federation.sites.list().map(({ name }) => name) ?? [];
    const administration = { ...parts, store, book: segments, audit };
    const made = new SegmentsAdmin({ ...administration, registryId: id, site: config.site, joined, endpoints });
    const segmentsApi = administeredSegments(made, { ...administration, ownEndpoints: registries.endpoints });
    const administered = { site: federated ? site?.api(federated) : noAuthority, policy, segments: segmentsApi };
    keep(opened, await serve({ urls: [config.adminSocket], services: administered, ...shared }));
    parts.log.info("registry serves", { id, site: config.site, urls: server.urls, store: config.store, ...registries.counts() });
    return { urls: server.urls, id, [Symbol.asyncDispose]: () => closeAll(opened) };
  } catch (error) {
    await closeAll(opened);
    throw error;
  }
}

/** Both registries over one store. Disposing ends their watches; the store is the caller's. */
export interface Registries extends AsyncDisposable {
  readonly services: ServiceRegistry;
  readonly endpoints: EndpointRegistry;
  readonly segments: SegmentBook;
  /** How many of each there are. */
  counts(): { readonly networkServices: number; readonly endpoints: number };
}

/** Resolves when both show all that the store has. */
export async function openRegistries(
  parts: RegistryParts & {
    readonly store: Store;
    readonly tokens: TokenSource;
    readonly prover?: Prover | undefined;
    readonly expirePeriodMs: number;
  },
): Promise<Registries> {
  const opened: AsyncDisposable[] = [];
  try {
    const services = keep(opened, await View.open({ ...parts, kind: serviceKind }));
    const endpoints = keep(opened, await View.open({ ...parts, kind: endpointKind }));
    const segments = keep(opened, await SegmentBook.open(parts));
    await sweepBlocks(parts.store);
    registryGauges((parts.sinks ?? noSinks).meter, [services, endpoints]);
    return {
      services: new Services({ ...parts, view: services }),
      endpoints: new Endpoints({ ...parts, view: endpoints, isSegment: (service) => segments.has(service) }),
      segments,
      counts: () => ({ networkServices: services.size, endpoints: endpoints.size }),
      [Symbol.asyncDispose]: () => closeAll(opened),
    };
  } catch (error) {
    await closeAll(opened);
    throw error;
  }
}

async function openStore(config: RegistryConfig, parts: RegistryParts): Promise<Store> {
  switch (config.store) {
    case "lmdb":
      return openLmdbStore(config.stateDir, parts);
    case "memory":
      return openMemoryStore(parts);
    case "etcd": {
      // Loaded only where it is used: its protocol buffers cost every start time and memory.
      const { openEtcdStore } = await import("./etcd/store.js");
      return openEtcdStore(etcdOptions(config), parts);
    }
  }
}

function etcdOptions({ site, etcdEndpoints, etcdPrefix, etcdCa, etcdCert, etcdKey }: RegistryConfig): EtcdOptions {
  return {
    endpoints: etcdEndpoints,
    prefix: etcdPrefix || `isthmus/${site}/`,
    ca: etcdCa || undefined,
    cert: etcdCert || undefined,
    key: etcdKey || undefined,
  };
}

function keep<T extends AsyncDisposable>(opened: AsyncDisposable[], one: T): T {
  opened.push(one);
  return one;
}

/** What was opened last is closed first. */
async function closeAll(opened: readonly AsyncDisposable[]): Promise<void> {
  for (const one of opened.toReversed()) await one[Symbol.asyncDispose]();
}
