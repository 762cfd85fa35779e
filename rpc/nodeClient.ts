import { type Caller, defaultPatienceMs } from "./caller.js";
import { nodeMethods as m } from "./methods.js";
import type { NodeClient } from "./node.js";

/** isthmus.v1.Node at a URL. */
export function nodeClient(caller: Caller, url: string): NodeClient {
  return {
    info: (signal) => caller.unary(url, m.info, {}, { signal }),
    // The node gives up after timeoutMs and says why; its answer is worth waiting for a little longer.
    attach: (request, signal) =>
      caller.unary(url, m.attach, request, { signal, patienceMs: Math.max(defaultPatienceMs, request.timeoutMs) + 2_000 }),
    detach: async (request, signal) => void (await caller.unary(url, m.detach, request, { signal })),
    listAttachments: async (signal) => (await caller.unary(url, m.listAttachments, {}, { signal })).attachments,
    serve: (request, signal) => caller.stream(url, m.serve, request, { signal }),
    unserve: async (request, signal) => void (await caller.unary(url, m.unserve, request, { signal })),
    listConnections: async (signal) => (await caller.unary(url, m.listConnections, {}, { signal })).connections,
    listServices: async (signal) => (await caller.unary(url, m.listServices, {}, { signal })).services,
    listEndpoints: async (signal) => (await caller.unary(url, m.listEndpoints, {}, { signal })).endpoints,
    listForwarders: async (signal) => (await caller.unary(url, m.listForwarders, {}, { signal })).endpoints,
    listNodes: async (signal) => (await caller.unary(url, m.listNodes, {}, { signal })).nodes,
    readSegmentCounters: async (segment, signal) => (await caller.unary(url, m.readSegmentCounters, { segment }, { signal })).counted,
  };
}
