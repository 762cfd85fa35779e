import type { Connection } from "../api/gen/connection/connection.js";
import type {
  Attachment,
  AttachRequest,
  DetachRequest,
  MeshNode,
  NodeInfo,
  ServedEndpoint,
  ServeRequest,
  UnserveRequest,
} from "../api/gen/isthmus/v1/node.js";
import type { CountedNode } from "../api/gen/isthmus/v1/segment.js";
import type { NetworkService, NetworkServiceEndpoint } from "../api/gen/registry/registry.js";

/** isthmus.v1.Node, typed: what nsmgr implements and what nsmctl calls. Every failure is a MeshError. */
export interface NodeApi {
  info(signal: AbortSignal): Promise<NodeInfo>;
  /** Resolves when the interface works. */
  attach(request: AttachRequest, signal: AbortSignal): Promise<Attachment>;
  /** Rejects with "not-found" for an unknown id; resolves when every hop has let go. */
  detach(request: DetachRequest, signal: AbortSignal): Promise<void>;
  listAttachments(signal: AbortSignal): Promise<readonly Attachment[]>;
  /** The first event says that it is registered. Without `detach` the endpoint ends when the reader goes away. */
  serve(request: ServeRequest, signal: AbortSignal): AsyncIterable<ServedEndpoint>;
  unserve(request: UnserveRequest, signal: AbortSignal): Promise<void>;
  listConnections(signal: AbortSignal): Promise<readonly Connection[]>;
  listServices(signal: AbortSignal): Promise<readonly NetworkService[]>;
  listEndpoints(signal: AbortSignal): Promise<readonly NetworkServiceEndpoint[]>;
  listForwarders(signal: AbortSignal): Promise<readonly NetworkServiceEndpoint[]>;
  listNodes(signal: AbortSignal): Promise<readonly MeshNode[]>;
  /** What each of its forwarders that has members of a segment has counted there; empty where none has. */
  readSegmentCounters(segment: string, signal: AbortSignal): Promise<readonly CountedNode[]>;
}

/** The same from the calling side. */
export type NodeClient = NodeApi;
