import { setImmediate } from "node:timers/promises";
import type { ConnectionEvent } from "../api/gen/connection/connection.js";
import type { Handler } from "../core/chain.js";
import { MeshError } from "../core/error.js";
import { stream, unary } from "./bind.js";
import { managingBlocks } from "./blocks.js";
import { callerOf, pathHeaders, pathOf, traceOf } from "./headers.js";
import { health } from "./health.js";
import type { FederationApi, IdentityApi, SiteApi } from "./identityApi.js";
import {
  endpointRegistryMethods,
  federationMethods,
  identityMethods,
  monitorMethods,
  networkServiceMethods,
  nodeMethods,
  policyFeedMethods,
  policyMethods,
  segmentFeedMethods,
  segmentMethods,
  serviceRegistryMethods,
  siteMethods,
} from "./methods.js";
import type { NodeApi } from "./node.js";
import type { PolicyApi, PolicyFeedApi } from "./policyApi.js";
import type { EndpointRegistry, Registry, RegistryContext, ServiceRegistry } from "./registry.js";
import type { SegmentFeedApi, SegmentsApi } from "./segmentApi.js";
import { segmentCounters } from "./segmentCounters.js";
import type { MonitorSource, Services } from "./services.js";
import { sticky } from "./sticky.js";
import type { Answering, Incoming } from "./transport.js";

/** Every method that a program with these services answers. The same for each transport. */
export function answering(services: Services): Answering[] {
  const offered = [
    ...(services.networkService ? networkService(services.networkService) : []),
    ...(services.monitor ? monitor(services.monitor) : []),
    ...(services.services ? serviceRegistry(services.services) : []),
    ...(services.endpoints ? endpointRegistry(services.endpoints) : []),
    ...(services.node ? node(services.node) : []),
    ...(services.identity ? identity(services.identity) : []),
    ...(services.federation ? federation(services.federation) : []),
    ...(services.site ? site(services.site) : []),
    ...(services.policy ? policy(services.policy) : []),
    ...(services.policyFeed ? policyFeed(services.policyFeed) : []),
    ...(services.segments ? segments(services.segments) : []),
    ...(services.segmentFeed ? segmentFeed(services.segmentFeed) : []),
    ...(services.segmentCounters ? segmentCounters(services.segmentCounters) : []),
    ...(services.blocks ? managingBlocks(services.blocks) : []),
    ...(services.sticky ? sticky(services.sticky) : []),
  ];
  return [...offered, ...health(offered)];
}

function networkService(handler: Handler): Answering[] {
  return [
    unary(networkServiceMethods.request, ({ connection, mechanismPreferences }, { signal, headers, link }) =>
      // The check has refused a request without a connection.
      handler.request({
        connection: connection as NonNullable<typeof connection>,
        preferences: mechanismPreferences,
        signal,
        caller: callerOf(headers),
        link,
        trace: traceOf(headers),
      }),
    ),
    unary(networkServiceMethods.close, async (connection, { signal, headers, link }) => {
      await handler.close({ connection, preferences: [], signal, caller: callerOf(headers), link, trace: traceOf(headers) });
      return {};
    }),
  ];
}

function monitor(source: MonitorSource): Answering[] {
  return [stream(monitorMethods.watch, (selector, { signal, link }) => behindAnswers(source.watch(selector, signal, link?.peer.id)))];
}

/** Each event a turn later: the answer to the request that it tells of goes first, for somebody waits for that. */
async function* behindAnswers(events: AsyncIterable<ConnectionEvent>): AsyncGenerator<ConnectionEvent> {
  for await (const event of events) {
    await setImmediate();
    yield event;
  }
}

function serviceRegistry(registry: ServiceRegistry): Answering[] {
  const { register, unregister, find } = serviceRegistryMethods;
  return [
    unary(register, (service, incoming) => registry.register(service, contextOf(incoming))),
    unary(unregister, (service, incoming) => dropped(registry, service, incoming)),
    stream(find, async function* ({ networkService, watch }, incoming) {
      const query = networkService as NonNullable<typeof networkService>;
      for await (const { value, deleted } of registry.find(query, { watch }, contextOf(incoming))) yield { networkService: value, deleted };
    }),
  ];
}

function endpointRegistry(registry: EndpointRegistry): Answering[] {
  const { register, unregister, find } = endpointRegistryMethods;
  return [
    unary(register, (endpoint, incoming) => registry.register(endpoint, contextOf(incoming))),
    unary(unregister, (endpoint, incoming) => dropped(registry, endpoint, incoming)),
    stream(find, async function* ({ networkServiceEndpoint, watch }, incoming) {
      const query = networkServiceEndpoint as NonNullable<typeof networkServiceEndpoint>;
      for await (const { value, deleted } of registry.find(query, { watch }, contextOf(incoming)))
        yield { networkServiceEndpoint: value, deleted };
    }),
  ];
}

async function dropped<T>(registry: Registry<T>, value: T, incoming: Incoming): Promise<Record<string, never>> {
  await registry.unregister(value, contextOf(incoming));
  return {};
}

function contextOf(incoming: Incoming): RegistryContext {
  return {
    signal: incoming.signal,
    caller: callerOf(incoming.headers),
    link: incoming.link,
    path: pathOf(incoming.headers),
    returnPath: (path) => incoming.sendHeaders(pathHeaders(path)),
  };
}

function identity(api: IdentityApi): Answering[] {
  const { join, renew, followTrust } = identityMethods;
  return [
    unary(join, (request, { key }) => api.join(request, shown(key)), true),
    unary(renew, (request, { link }) => api.renew(request, shown(link?.peer))),
    stream(followTrust, (_, { link, signal }) => api.followTrust(shown(link?.peer), signal)),
  ];
}

function federation(api: FederationApi): Answering[] {
  const { join, follow } = federationMethods;
  return [
    unary(join, (request) => api.join(request), true),
    stream(follow, (_, { link, signal }) => api.follow(shown(link?.peer), signal)),
    stream(federationMethods.segments, (_, { link, signal }) => api.segments(shown(link?.peer), signal)),
  ];
}

function shown<T>(of: T | undefined): T {
  if (of !== undefined) return of;
  throw new MeshError("denied", "an identity is given only over TLS, to who shows a certificate");
}

function site(api: SiteApi): Answering[] {
  const m = siteMethods;
  return [
    unary(m.inviteNode, (request, { signal }) => api.inviteNode(request, signal)),
    unary(m.inviteSite, (request, { signal }) => api.inviteSite(request, signal)),
    unary(m.joinSite, (request, { signal }) => api.joinSite(request, signal)),
    unary(m.listSites, (_, { signal }) => api.listSites(signal)),
    unary(m.leaveSite, async (request, { signal }) => {
      await api.leaveSite(request, signal);
      return {};
    }),
  ];
}

function policy(api: PolicyApi): Answering[] {
  return [
    unary(policyMethods.apply, (request, { signal }) => api.apply(request, signal)),
    unary(policyMethods.get, (_, { signal }) => api.get(signal)),
  ];
}

function policyFeed(api: PolicyFeedApi): Answering[] {
  return [stream(policyFeedMethods.watch, (_, { signal, link }) => api.watch(signal, link))];
}

function segments(api: SegmentsApi): Answering[] {
  const { apply, list, delete: remove, listBlocks, releaseBlocks } = segmentMethods;
  return [
    unary(apply, (request, { signal }) => api.apply(request, signal)),
    unary(list, async (_, { signal }) => ({ segments: [...(await api.list(signal))] })),
    unary(remove, async (request, { signal }) => {
      await api.delete(request, signal);
      return {};
    }),
    unary(listBlocks, async (request, { signal }) => ({ blocks: [...(await api.listBlocks(request, signal))] })),
    unary(releaseBlocks, async (request, { signal }) => ({ blocks: [...(await api.releaseBlocks(request, signal))] })),
  ];
}

function segmentFeed(api: SegmentFeedApi): Answering[] {
  return [stream(segmentFeedMethods.watch, (_, { signal, link }) => api.watch(signal, link))];
}

function node(api: NodeApi): Answering[] {
  const m = nodeMethods;
  return [
    unary(m.info, (_, { signal }) => api.info(signal)),
    unary(m.attach, (request, { signal }) => api.attach(request, signal)),
    unary(m.detach, async (request, { signal }) => {
      await api.detach(request, signal);
      return {};
    }),
    unary(m.listAttachments, async (_, { signal }) => ({ attachments: [...(await api.listAttachments(signal))] })),
    stream(m.serve, (request, { signal }) => api.serve(request, signal)),
    unary(m.unserve, async (request, { signal }) => {
      await api.unserve(request, signal);
      return {};
    }),
    unary(m.listConnections, async (_, { signal }) => ({ connections: [...(await api.listConnections(signal))] })),
    unary(m.listServices, async (_, { signal }) => ({ services: [...(await api.listServices(signal))] })),
    unary(m.listEndpoints, async (_, { signal }) => ({ endpoints: [...(await api.listEndpoints(signal))] })),
    unary(m.listForwarders, async (_, { signal }) => ({ endpoints: [...(await api.listForwarders(signal))] })),
    unary(m.listNodes, async (_, { signal }) => ({ nodes: [...(await api.listNodes(signal))] })),
    unary(m.readSegmentCounters, async ({ segment }, { signal }) => ({ counted: [...(await api.readSegmentCounters(segment, signal))] })),
  ];
}
