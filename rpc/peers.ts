import type { ConnectionEvent, MonitorScopeSelector } from "../api/gen/connection/connection.js";
import type { SegmentList } from "../api/gen/isthmus/v1/segment.js";
import type { SiteInfo } from "../api/gen/isthmus/v1/site.js";
import type { Handler } from "../core/chain.js";
import type { BlocksApi } from "./blocks.js";
import type { SiteApi } from "./identityApi.js";
import type { NodeClient } from "./node.js";
import type { PolicyApi, PolicyFeedApi } from "./policyApi.js";
import type { EndpointRegistry, ServiceRegistry } from "./registry.js";
import type { SegmentFeedApi, SegmentsApi } from "./segmentApi.js";
import type { SegmentCountersApi } from "./segmentCounters.js";
import type { StickyApi } from "./sticky.js";

/**
 * Everything that this process says to others, by URL. All calls to one URL share one channel, streams too.
 * Failures are MeshErrors: "unreachable" names the URL, and what the peer said keeps its code, sentence and hop.
 * A stream's iterator ends quietly when its signal ends, and cancels the call when the reader stops early.
 */
export interface PeerSet extends AsyncDisposable {
  /** The tail of a chain: dials `call.target`. */
  networkService(): Handler;
  monitor(url: string, selector: MonitorScopeSelector, signal: AbortSignal): AsyncIterable<ConnectionEvent>;
  services(url: string): ServiceRegistry;
  endpoints(url: string): EndpointRegistry;
  node(url: string): NodeClient;
  site(url: string): SiteApi;
  /** What the site of the registry there says of itself, with a sign of life (an empty one) every second. */
  followSite(url: string, signal: AbortSignal): AsyncIterable<SiteInfo>;
  policy(url: string): PolicyApi;
  policyFeed(url: string): PolicyFeedApi;
  segments(url: string): SegmentsApi;
  segmentFeed(url: string): SegmentFeedApi;
  /** The segments that were made in the site of the registry there, and that this one takes part in. */
  segmentsOfSite(url: string, signal: AbortSignal): AsyncIterable<SegmentList>;
  segmentCounters(url: string): SegmentCountersApi;
  blocks(url: string): BlocksApi;
  sticky(url: string): StickyApi;
  /** Whether the peer answers and says that it serves. Never rejects. */
  health(url: string, signal: AbortSignal): Promise<boolean>;
}
