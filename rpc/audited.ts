import type { Audit } from "../core/audit.js";
import type { Handler } from "../core/chain.js";
import { asMeshError } from "../core/error.js";
import type { Link } from "../core/peer.js";
import type { BlockAsk, BlocksApi } from "./blocks.js";
import type { FederationApi, IdentityApi } from "./identityApi.js";
import type { Registry } from "./registry.js";
import type { SegmentCountersApi } from "./segmentCounters.js";
import type { MonitorSource, Services } from "./services.js";
import type { StickyApi, StickyAsk } from "./sticky.js";

/**
 * What a program offers, with every denial in its audit log: who wanted what, as its certificate says it. What another hop denied is in
 * that one's.
 */
export function audited(services: Services, audit: Audit): Services {
  const tell = (who: string | undefined, what: string, on: string) => (error: unknown) => {
    const { code, hop, message } = asMeshError(error);
    if (code === "denied" && hop === undefined) audit.denied({ who: who ?? "this program", what, on, sentence: message }, error);
    throw error;
  };
  return {
    ...services,
    ...(services.networkService && { networkService: auditedHandler(services.networkService, tell) }),
    ...(services.monitor && { monitor: auditedMonitor(services.monitor, tell) }),
    ...(services.services && { services: auditedRegistry(services.services, tell) }),
    ...(services.endpoints && { endpoints: auditedRegistry(services.endpoints, tell) }),
    ...(services.identity && { identity: auditedIdentity(services.identity, tell) }),
    ...(services.federation && { federation: auditedFederation(services.federation, tell) }),
    ...(services.policyFeed && { policyFeed: auditedFeed(services.policyFeed, "the policy", tell) }),
    ...(services.segmentFeed && { segmentFeed: auditedFeed(services.segmentFeed, "the segments", tell) }),
    ...(services.segmentCounters && { segmentCounters: auditedCounters(services.segmentCounters, tell) }),
    ...(services.blocks && { blocks: auditedBlocks(services.blocks, tell) }),
    ...(services.sticky && { sticky: auditedSticky(services.sticky, tell) }),
  };
}

type Tell = (who: string | undefined, what: string, on: string) => (error: unknown) => never;

function auditedHandler(handler: Handler, tell: Tell): Handler {
  return {
    request: (call) => handler.request(call).catch(tell(idOf(call.link), "request", onConnection(call.connection))),
    close: (call) => handler.close(call).catch(tell(idOf(call.link), "close", onConnection(call.connection))),
  };
}

function auditedMonitor(monitor: MonitorSource, tell: Tell): MonitorSource {
  return {
    watch(selector, signal, viewer) {
      const id = selector.pathSegments.find((segment) => segment.id !== "")?.id;
      const denied = tell(viewer, "monitor", id === undefined ? "connections" : `connection ${id}`);
      return told(monitor.watch(selector, signal, viewer), denied);
    },
  };
}

function auditedRegistry<T extends { readonly name: string }>(registry: Registry<T>, tell: Tell): Registry<T> {
  return {
    register: (value, context) => registry.register(value, context).catch(tell(idOf(context.link), "register", value.name)),
    unregister: (value, context) => registry.unregister(value, context).catch(tell(idOf(context.link), "unregister", value.name)),
    find: (query, options, context) => told(registry.find(query, options, context), tell(idOf(context.link), "find", query.name)),
  };
}

function auditedIdentity(api: IdentityApi, tell: Tell): IdentityApi {
  return {
    join: (request, key) => api.join(request, key).catch(tell("who has no identity yet", "join", `${request.program} of ${request.node}`)),
    renew: (request, peer) => api.renew(request, peer).catch(tell(peer.id, "renew", "its identity")),
    followTrust: (peer, signal) => told(api.followTrust(peer, signal), tell(peer.id, "watch", "whom this site trusts")),
  };
}

function auditedFederation(api: FederationApi, tell: Tell): FederationApi {
  return {
    join: (request) => api.join(request).catch(tell("who has no identity here", "join", `the site ${request.site?.name ?? ""}`)),
    follow: (peer, signal) => told(api.follow(peer, signal), tell(peer.id, "watch", "this site")),
    segments: (peer, signal) => told(api.segments(peer, signal), tell(peer.id, "watch", "the segments of this site")),
  };
}

function auditedFeed<T>(feed: Feed<T>, what: string, tell: Tell): Feed<T> {
  return { watch: (signal, link) => told(feed.watch(signal, link), tell(idOf(link), "watch", what)) };
}

interface Feed<T> {
  watch(signal: AbortSignal, link?: Link): AsyncIterable<T>;
}

function auditedCounters(api: SegmentCountersApi, tell: Tell): SegmentCountersApi {
  return {
    read: (segment, signal, link) => api.read(segment, signal, link).catch(tell(idOf(link), "read", `the counters of ${segment}`)),
  };
}

function auditedBlocks(blocks: BlocksApi, tell: Tell): BlocksApi {
  return {
    allocate: (ask, signal, link) => blocks.allocate(ask, signal, link).catch(tell(idOf(link), "allocate", onBlock(ask))),
    release: (ask, signal, link) => blocks.release(ask, signal, link).catch(tell(idOf(link), "release", onBlock(ask))),
  };
}

function onBlock({ prefix, segment }: BlockAsk): string {
  return `${prefix} of ${segment}`;
}

function auditedSticky(api: StickyApi, tell: Tell): StickyApi {
  return {
    claim: (ask, signal, link) => api.claim(ask, signal, link).catch(tell(idOf(link), "claim", onName(ask))),
    release: (ask, signal, link) => api.release(ask, signal, link).catch(tell(idOf(link), "release", onName(ask))),
  };
}

function onName({ name, segment }: StickyAsk): string {
  return `the sticky name ${name} of ${segment}`;
}

async function* told<T>(answers: AsyncIterable<T>, denied: (error: unknown) => never): AsyncGenerator<T> {
  try {
    yield* answers;
  } catch (error) {
    denied(error);
  }
}

function idOf(link: Link | undefined): string | undefined {
  return link?.peer.id;
}

function onConnection({ id, networkService }: { readonly id: string; readonly networkService: string }): string {
  return `connection ${id} (${networkService})`;
}
