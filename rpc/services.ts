import type { ConnectionEvent, MonitorScopeSelector } from "../api/gen/connection/connection.js";
import type { Handler } from "../core/chain.js";
import type { BlocksApi } from "./blocks.js";
import type { FederationApi, IdentityApi, SiteApi } from "./identityApi.js";
import type { NodeApi } from "./node.js";
import type { PolicyApi, PolicyFeedApi } from "./policyApi.js";
import type { EndpointRegistry, ServiceRegistry } from "./registry.js";
import type { SegmentFeedApi, SegmentsApi } from "./segmentApi.js";
import type { SegmentCountersApi } from "./segmentCounters.js";
import type { StickyApi } from "./sticky.js";

/** What can be watched: core's Monitor, or a stand-in. */
export interface MonitorSource {
  /** `viewer` is the SPIFFE id of who watches; absent for this process itself. */
  watch(selector: MonitorScopeSelector, signal: AbortSignal, viewer?: string): AsyncIterable<ConnectionEvent>;
}

/** What a program offers; each part that is there is served. grpc.health.v1 is always served. */
export interface Services {
  readonly networkService?: Handler | undefined;
  readonly monitor?: MonitorSource | undefined;
  readonly services?: ServiceRegistry | undefined;
  readonly endpoints?: EndpointRegistry | undefined;
  readonly node?: NodeApi | undefined;
  readonly identity?: IdentityApi | undefined;
  readonly federation?: FederationApi | undefined;
  readonly site?: SiteApi | undefined;
  readonly policy?: PolicyApi | undefined;
  readonly policyFeed?: PolicyFeedApi | undefined;
  readonly segments?: SegmentsApi | undefined;
  readonly segmentFeed?: SegmentFeedApi | undefined;
  readonly segmentCounters?: SegmentCountersApi | undefined;
  readonly blocks?: BlocksApi | undefined;
  readonly sticky?: StickyApi | undefined;
}
