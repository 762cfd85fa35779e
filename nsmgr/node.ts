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
import { NetworkService, NetworkServiceEndpoint } from "../api/gen/registry/registry.js";
import type { Monitor } from "../core/monitor.js";
import type { NodeApi } from "../rpc/node.js";
import type { PeerSet } from "../rpc/peers.js";
import type { Registry } from "../rpc/registry.js";
import type { Attachments } from "./attachments/attachments.js";
import type { Forwarders } from "./forwarders.js";
import type { Hosts } from "./hosted/hosts.js";

export interface NodeParts {
  /** What does not change while the program runs. */
  readonly info: Omit<NodeInfo, "registryReachable">;
  readonly registryReachable: () => boolean;
  readonly attachments: Attachments;
  readonly hosts: Hosts;
  readonly monitor: Monitor;
  readonly services: Registry<NetworkService>;
  readonly endpoints: Registry<NetworkServiceEndpoint>;
  readonly forwarders: Forwarders;
  readonly peers: Pick<PeerSet, "segmentCounters">;
  readonly forwarderService: string;
  readonly ownUrl: string;
}

/** isthmus.v1.Node of this node. */
export class Node implements NodeApi {
  readonly #parts: NodeParts;

  constructor(parts: NodeParts) {
    this.#parts = parts;
  }

  async info(): Promise<NodeInfo> {
    return { ...this.#parts.info, registryReachable: this.#parts.registryReachable() };
  }

  async attach(request: AttachRequest, signal: AbortSignal): Promise<Attachment> {
    return await this.#parts.attachments.attach(request, signal);
  }

  async detach(request: DetachRequest, signal: AbortSignal): Promise<void> {
    await this.#parts.attachments.detach(request.id, signal);
  }

  async listAttachments(): Promise<readonly Attachment[]> {
    return this.#parts.attachments.list();
  }

  serve(request: ServeRequest, signal: AbortSignal): AsyncIterable<ServedEndpoint> {
    return this.#parts.hosts.serve(request, signal);
  }

  async unserve(request: UnserveRequest): Promise<void> {
    await this.#parts.hosts.unserve(request.name);
  }

  async listConnections(): Promise<readonly Connection[]> {
    return this.#parts.monitor.list();
  }

  async listServices(signal: AbortSignal): Promise<readonly NetworkService[]> {
    return await collect(this.#parts.services, NetworkService.fromPartial({}), signal);
  }

  async listEndpoints(signal: AbortSignal): Promise<readonly NetworkServiceEndpoint[]> {
    return await collect(this.#parts.endpoints, NetworkServiceEndpoint.fromPartial({}), signal);
  }

  async listForwarders(): Promise<readonly NetworkServiceEndpoint[]> {
    return this.#parts.forwarders.all();
  }

  async listNodes(signal: AbortSignal): Promise<readonly MeshNode[]> {
    const { forwarderService, ownUrl } = this.#parts;
    const query = NetworkServiceEndpoint.fromPartial({ networkServiceNames: [forwarderService] });
    const forwarders = await collect(this.#parts.endpoints, query, signal);
    const own = new Set(this.#parts.forwarders.urls());
    const nodes = new Map<string, MeshNode>();
    for (const forwarder of forwarders) {
      const url = own.has(forwarder.url) ? ownUrl : forwarder.url;
      const labels = forwarder.networkServiceLabels[forwarderService]?.labels ?? {};
      const node = nodes.get(url) ?? { name: labels.nodeName ?? forwarder.name, site: labels.site ?? "", nsmgrUrl: url, forwarders: [] };
      node.forwarders.push(forwarder.name);
      nodes.set(url, node);
    }
    return [...nodes.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async readSegmentCounters(segment: string, signal: AbortSignal): Promise<readonly CountedNode[]> {
    const { forwarders, peers } = this.#parts;
    const counted = await Promise.all(forwarders.urls().map((url) => peers.segmentCounters(url).read(segment, signal)));
    return counted.filter(({ members }) => members.length > 0);
  }
}

async function collect<T>(registry: Registry<T>, query: T, signal: AbortSignal): Promise<T[]> {
  const values: T[] = [];
  for await (const { value } of registry.find(query, { watch: false }, { signal })) values.push(value);
  return values;
}
