import type { Connection, ConnectionEvent, MonitorScopeSelector } from "../api/gen/connection/connection.js";
import { HealthCheckResponse_ServingStatus as Serving } from "../api/gen/grpc/health/v1/health.js";
import type { SegmentList } from "../api/gen/isthmus/v1/segment.js";
import type { SiteInfo } from "../api/gen/isthmus/v1/site.js";
import type { Call, Handler } from "../core/chain.js";
import type { Clock } from "../core/clock.js";
import { afresh } from "../core/deadline.js";
import { MeshError } from "../core/error.js";
import { nextSegment } from "../core/path.js";
import type { Link } from "../core/peer.js";
import { inPart, type Trace } from "../core/trace.js";
import { type BlocksApi, blocksClient } from "./blocks.js";
import { Caller, type CallOptions, defaultPatienceMs } from "./caller.js";
import { checkAnswer } from "./checkAnswer.js";
import type { SiteApi } from "./identityApi.js";
import {
  endpointRegistryMethods,
  federationMethods,
  healthMethods,
  monitorMethods,
  networkServiceMethods,
  policyFeedMethods,
  policyMethods,
  segmentFeedMethods,
  segmentMethods,
  serviceRegistryMethods,
  siteMethods,
} from "./methods.js";
import type { NodeClient } from "./node.js";
import { nodeClient } from "./nodeClient.js";
import { overRenewals } from "./overRenewals.js";
import type { PeerSet } from "./peers.js";
import type { PolicyApi, PolicyFeedApi } from "./policyApi.js";
import type { EndpointRegistry, RegistryContext, ServiceRegistry } from "./registry.js";
import type { SegmentFeedApi, SegmentsApi } from "./segmentApi.js";
import { type SegmentCountersApi, segmentCountersClient } from "./segmentCounters.js";
import { type StickyApi, stickyClient } from "./sticky.js";
import type { Transport } from "./transport.js";

/** How long a next hop may take to let go of what we do not believe. */
const farewellMs = 3_000;

/** A PeerSet over any transport. */
export class CallingPeers implements PeerSet {
  readonly #transport: Transport;
  readonly #caller: Caller;
  readonly #clock: Clock;

  constructor(transport: Transport, clock: Clock) {
    this.#transport = transport;
    this.#caller = new Caller(transport);
    this.#clock = clock;
  }

  networkService(): Handler {
    return {
      request: (call) => toNextHop(call, "Request", (trace) => this.#request({ ...call, trace })),
      close: (call) =>
        call.target === undefined ? this.#close(call) : toNextHop(call, "Close", (trace) => this.#close({ ...call, trace })),
    };
  }

  async #request(call: Call): Promise<Connection> {
    let link: Link | undefined;
    const { signal, trace } = call;
    const message = { connection: call.connection, mechanismPreferences: [...call.preferences] };
    const answer = await this.#caller.unary(targetOf(call), networkServiceMethods.request, message, {
      signal,
      trace,
      onLink: (its) => {
        link = its;
      },
    });
    return await this.#believed(call, answer, link);
  }

  /** An answer that cannot be believed is closed where it is to a first request: nobody else would. */
  async #believed(call: Call, answer: Connection, link: Link | undefined): Promise<Connection> {
    // Without a path there is nothing to believe.
    if (link === undefined || call.connection.path === undefined) return answer;
    try {
      return checkAnswer(call.connection, answer, link.peer, this.#clock.now());
    } catch (error) {
      if (nextSegment(call.connection) === undefined)
        await this.#close({ ...call, connection: answer, signal: afresh(farewellMs) }).catch(() => {});
      throw error;
    }
  }

  async #close({ target, connection, signal, trace }: Call): Promise<void> {
    // Nobody knows where the next hop is (any more): there is no one to tell, and it lets go when our token ends.
    if (target !== undefined) await this.#caller.unary(target, networkServiceMethods.close, connection, { signal, trace });
  }

  monitor(url: string, selector: MonitorScopeSelector, signal: AbortSignal): AsyncIterable<ConnectionEvent> {
    return overRenewals(() => this.#caller.stream(url, monitorMethods.watch, selector, { signal }), signal, this.#clock);
  }

  services(url: string): ServiceRegistry {
    const caller = this.#caller;
    const { register, unregister, find } = serviceRegistryMethods;
    return {
      register: (service, context) => caller.unary(url, register, service, { signal: context.signal, context }),
      unregister: async (service, context) => void (await caller.unary(url, unregister, service, { signal: context.signal, context })),
      async *find(query, { watch }, context) {
        for await (const answer of caller.stream(url, find, { networkService: query, watch }, findOptions(watch, context)))
          if (answer.networkService !== undefined) yield { value: answer.networkService, deleted: answer.deleted };
      },
    };
  }

  endpoints(url: string): EndpointRegistry {
    const caller = this.#caller;
    const { register, unregister, find } = endpointRegistryMethods;
    return {
      register: (endpoint, context) => caller.unary(url, register, endpoint, { signal: context.signal, context }),
      unregister: async (endpoint, context) => void (await caller.unary(url, unregister, endpoint, { signal: context.signal, context })),
      async *find(query, { watch }, context) {
        for await (const answer of caller.stream(url, find, { networkServiceEndpoint: query, watch }, findOptions(watch, context)))
          if (answer.networkServiceEndpoint !== undefined) yield { value: answer.networkServiceEndpoint, deleted: answer.deleted };
      },
    };
  }

  node(url: string): NodeClient {
    return nodeClient(this.#caller, url);
  }

  site(url: string): SiteApi {
    const caller = this.#caller;
    const m = siteMethods;
    return {
      inviteNode: (request, signal) => caller.unary(url, m.inviteNode, request, { signal }),
      inviteSite: (request, signal) => caller.unary(url, m.inviteSite, request, { signal }),
      joinSite: (request, signal) => caller.unary(url, m.joinSite, request, { signal }),
      listSites: (signal) => caller.unary(url, m.listSites, {}, { signal }),
      leaveSite: async (request, signal) => void (await caller.unary(url, m.leaveSite, request, { signal })),
    };
  }

  followSite(url: string, signal: AbortSignal): AsyncIterable<SiteInfo> {
    return overRenewals(() => this.#caller.stream(url, federationMethods.follow, {}, { signal }), signal, this.#clock);
  }

  policy(url: string): PolicyApi {
    return {
      apply: (request, signal) => this.#caller.unary(url, policyMethods.apply, request, { signal }),
      get: (signal) => this.#caller.unary(url, policyMethods.get, {}, { signal }),
    };
  }

  policyFeed(url: string): PolicyFeedApi {
    return { watch: (signal) => this.#caller.stream(url, policyFeedMethods.watch, {}, { signal }) };
  }

  segments(url: string): SegmentsApi {
    const { apply, list, delete: remove, listBlocks, releaseBlocks } = segmentMethods;
    return {
      apply: (segment, signal) => this.#caller.unary(url, apply, segment, { signal }),
      list: async (signal) => (await this.#caller.unary(url, list, {}, { signal })).segments,
      delete: async (request, signal) => void (await this.#caller.unary(url, remove, request, { signal })),
      listBlocks: async (request, signal) => (await this.#caller.unary(url, listBlocks, request, { signal })).blocks,
      releaseBlocks: async (request, signal) => (await this.#caller.unary(url, releaseBlocks, request, { signal })).blocks,
    };
  }

  segmentFeed(url: string): SegmentFeedApi {
    return { watch: (signal) => this.#caller.stream(url, segmentFeedMethods.watch, {}, { signal }) };
  }

  segmentsOfSite(url: string, signal: AbortSignal): AsyncIterable<SegmentList> {
    const open = () => this.#caller.stream(url, federationMethods.segments, {}, { signal });
    return overRenewals(open, signal, this.#clock);
  }

  segmentCounters(url: string): SegmentCountersApi {
    return segmentCountersClient(this.#caller, url);
  }

  blocks(url: string): BlocksApi {
    return blocksClient(this.#caller, url);
  }

  sticky(url: string): StickyApi {
    return stickyClient(this.#caller, url);
  }

  async health(url: string, signal: AbortSignal): Promise<boolean> {
    try {
      return (await this.#caller.unary(url, healthMethods.check, { service: "" }, { signal })).status === Serving.SERVING;
    } catch {
      return false;
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve(this.#transport[Symbol.asyncDispose]());
  }
}

/** The call as its caller sees it: with the way there and back. */
function toNextHop<T>(call: Call, method: string, work: (trace: Trace | undefined) => Promise<T>): Promise<T> {
  const attributes = { "isthmus.connection": call.connection.id, "isthmus.target": call.target ?? "" };
  return inPart(call.trace, `networkservice.NetworkService/${method}`, work, { kind: "client", attributes });
}

function targetOf(call: Call): string {
  if (call.target !== undefined) return call.target;
  throw new MeshError("internal", `nobody chose the next hop of connection ${call.connection.id}`);
}

/** A list is a call like any other; a watch lasts. */
function findOptions(watch: boolean, context: RegistryContext): CallOptions {
  return { signal: context.signal, context, patienceMs: watch ? undefined : defaultPatienceMs };
}
