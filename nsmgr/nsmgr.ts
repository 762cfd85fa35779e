import type { Audit } from "../core/audit.js";
import { begin } from "../core/begin.js";
import type { Clock } from "../core/clock.js";
import type { Log } from "../core/log.js";
import { Monitor } from "../core/monitor.js";
import { noSinks, type Sinks } from "../core/observed.js";
import { firstSegment } from "../core/path.js";
import { permit } from "../core/permit.js";
import { RESELECT_REQUESTED } from "../core/states.js";
import type { Identity } from "../identity/identity.js";
import { Gate } from "../identity/policy/gate.js";
import type { PolicySource } from "../identity/policy/inForce.js";
import type { StateStore } from "../program/state.js";
import { audited } from "../rpc/audited.js";
import { WatchedDirectory } from "../rpc/directory.js";
import { homeOnly } from "../rpc/homeOnly.js";
import type { NodeApi } from "../rpc/node.js";
import type { PeerSet } from "../rpc/peers.js";
import { policedEndpoints, policedMonitor, policedServices } from "../rpc/policed.js";
import { policyFeed } from "../rpc/policyFeed.js";
import { segmentFeed } from "../rpc/segmentApi.js";
import { followSegments } from "../rpc/segmentFollower.js";
import type { Services } from "../rpc/server.js";
import { Attachments } from "./attachments/attachments.js";
import { attachmentRecords } from "./attachments/record.js";
import { nsmgrChain } from "./chain.js";
import { Forwarders } from "./forwarders.js";
import { nsmgrGauges } from "./gauges.js";
import { Hosts } from "./hosted/hosts.js";
import { type Namespaces, NamespaceWatch } from "./namespaces.js";
import { Node } from "./node.js";
import { BlockProxy } from "./proxy/blocks.js";
import { atAll, startProxy } from "./proxy/proxy.js";
import { StickyProxy } from "./proxy/sticky.js";
import { ServiceMonitor } from "./serviceMonitor.js";
import { Stack } from "./stack.js";

/** What this nsmgr is called and where it is. */
export interface NsmgrConfig {
  readonly name: string;
  readonly site: string;
  readonly nodeName: string;
  readonly nodeId: string;
  readonly version: string;
  /** NSM's API. */
  readonly listenOn: readonly string[];
  /** One of them, under which others reach this node. */
  readonly publishedUrl: string;
  /** isthmus.v1. */
  readonly nodeSocket: string;
  /** Where the endpoints are served that nsmgr hosts. */
  readonly endpointsUrl: string;
  /** At least one; replicas of one registry. */
  readonly registryUrls: readonly string[];
  readonly forwarderService: string;
  readonly tokenLifetimeMs: number;
}

/** Serves on all of the urls until disposed. */
export type Listen = (urls: readonly string[], services: Services) => Promise<AsyncDisposable>;

export interface NsmgrParts {
  readonly config: NsmgrConfig;
  readonly peers: PeerSet;
  readonly listen: Listen;
  readonly identity: Identity;
  readonly store: StateStore;
  readonly namespaces: Namespaces;
  /** The site's, as this node last heard it. */
  readonly policy: PolicySource;
  readonly audit: Audit;
  readonly excludedPrefixes: () => readonly string[];
  /** Turns a url that only its registrant understands (inode://…) into one that can be dialed from here. */
  readonly resolveUrl: (url: string) => Promise<string>;
  readonly clock: Clock;
  readonly log: Log;
  readonly sinks?: Sinks | undefined;
  readonly random: () => number;
}

export interface Nsmgr extends AsyncDisposable {
  readonly node: NodeApi;
}

/** Starts a node's manager: it listens when this resolves. Disposing leaves the kernel and what is on disk as they are. */
export async function startNsmgr(parts: NsmgrParts): Promise<Nsmgr> {
  const { config, peers, store, clock, log, random, namespaces, sinks = noSinks } = parts;
  const { tokens, podTokens, prover } = parts.identity;
  await using started = new Stack();
  const proxy = started.use(
    startProxy({ ...parts, tokens, prover, registryUrls: config.registryUrls, ownUrl: config.publishedUrl, site: config.site }),
  );
  const directory = started.use(new WatchedDirectory({ services: proxy.services, endpoints: proxy.endpoints, clock, log }));
  const forwarders = new Forwarders({ serviceName: config.forwarderService, local: proxy.local, services: directory, clock });
  const namespaceWatch = started.use(new NamespaceWatch({ namespaces, clock, log }));
  const monitor = new Monitor();
  const connections = begin({ log });
  const serviceMonitor = started.use(
    new ServiceMonitor({ services: proxy.services, endpoints: proxy.endpoints, part: (id) => part(id), clock, log }),
  );
  const segments = started.use(followSegments(peers, { from: config.registryUrls, clock, log }));
  const forForwarders = { isForwarder: (id: string) => forwarders.has(id), clock };
  const blocks = new BlockProxy({ ...forForwarders, registries: atAll(config.registryUrls, (url) => peers.blocks(url)) });
  const sticky = new StickyProxy({ ...forForwarders, registries: atAll(config.registryUrls, (url) => peers.sticky(url)) });
  const gate = new Gate({ source: parts.policy, audit: parts.audit, site: config.site });
  const policed = { gate, prover, clock };
  const server = nsmgrChain({
    permit: permit({ prover, check: (asking, service) => gate.check(asking, "request", service) }),
    ...{ ...config, tokens, prover, clock, log, sinks, monitor, begin: connections, serviceMonitor, forwarders, peers },
    forwarderUrls: () => forwarders.urls(),
    excluded: parts.excludedPrefixes,
  });
  const served = new Monitor();
  const hosts = started.use(
    new Hosts({
      ...{
        tokens,
        podTokens,
        prover,
        monitor: served,
        store,
        namespaces,
        namespaceWatch,
        clock,
        log,
        sinks,
        services: proxy.services,
        endpoints: proxy.endpoints,
      },
      ...{ url: config.endpointsUrl, node: config.nodeName, nodeName: config.nodeName, site: config.site, graceMs: config.tokenLifetimeMs },
    }),
  );
  const attachments = started.use(
    new Attachments({
      ...{ server, monitor, podTokens, namespaces, namespaceWatch, clock, log, sinks, random },
      records: attachmentRecords(store),
      ask: { peers, forwarders: () => forwarders.urls(), clock },
    }),
  );
  /** An attachment is told to take another endpoint, and keeps its interface; another client finds its connection closed, as with NSM. */
  const part = async (id: string) => {
    const conn = monitor.get(id);
    if (conn !== undefined && attachments.has(firstSegment(conn).id)) monitor.update({ ...conn, state: RESELECT_REQUESTED });
    else await connections.end(id);
  };
  const node = new Node({
    info: infoOf(config),
    registryReachable: () => proxy.reachable,
    ...{ attachments, hosts, monitor, forwarders, peers, services: proxy.services, endpoints: proxy.endpoints },
    ...{ forwarderService: config.forwarderService, ownUrl: config.publishedUrl },
  });
  const shown = (source: Monitor) => policedMonitor(source, gate);
  started.use(await parts.listen([config.endpointsUrl], audited({ networkService: hosts.handler, monitor: shown(served) }, parts.audit)));
  const offered = {
    ...{
      networkService: server,
      monitor: shown(monitor),
      policyFeed: policyFeed(parts.policy),
      segmentFeed: segmentFeed(segments),
      blocks,
      sticky,
    },
    services: homeOnly(policedServices(proxy.services, policed)),
    endpoints: homeOnly(policedEndpoints(proxy.endpoints, policed)),
  };
  started.use(await parts.listen(config.listenOn, audited(offered, parts.audit)));
  started.use(await parts.listen([config.nodeSocket], { node }));
  nsmgrGauges(sinks.meter, { monitor, served, attachments, hosts, registryReachable: () => proxy.reachable });
  hosts.resume();
  attachments.resume();
  log.info("nsmgr serves", { site: config.site, node: config.nodeName, urls: config.listenOn, registries: config.registryUrls });
  const stack = started.move();
  return { node, [Symbol.asyncDispose]: () => stack[Symbol.asyncDispose]() };
}

function infoOf(config: NsmgrConfig) {
  return {
    name: config.name,
    site: config.site,
    nodeId: config.nodeId,
    listenOn: [...config.listenOn],
    registryUrl: config.registryUrls.join(","),
    pid: process.pid,
    version: config.version,
  };
}
