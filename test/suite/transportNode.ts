import assert from "node:assert/strict";
import { Connection } from "../../api/gen/connection/connection.js";
import { Attachment, AttachRequest, MeshNode, NodeInfo, ServedEndpoint, ServeRequest } from "../../api/gen/isthmus/v1/node.js";
import { CountedNode } from "../../api/gen/isthmus/v1/segment.js";
import { NetworkService, NetworkServiceEndpoint } from "../../api/gen/registry/registry.js";
import { MeshError } from "../../core/error.js";
import type { NodeApi } from "../../rpc/node.js";
import { forever, type TransportWorld } from "./transport.js";

const pod = { name: "web", netnsUrl: "file:///run/netns/web" };

const api: NodeApi = {
  info: async () => NodeInfo.fromPartial({ name: "nsmgr-1", pid: 7 }),
  attach: async (request) => Attachment.fromPartial({ id: "web-1", networkService: request.networkService, pod: request.pod ?? {} }),
  detach: async ({ id }) => {
    if (id !== "web-1") throw new MeshError("not-found", `there is no attachment ${id}`);
  },
  listAttachments: async () => [Attachment.fromPartial({ id: "web-1" })],
  async *serve(request) {
    yield ServedEndpoint.fromPartial({ name: "e-1", networkService: request.networkService, cidrs: request.cidrs });
  },
  unserve: async () => {},
  listConnections: async () => [Connection.fromPartial({ id: "c" })],
  listServices: async () => [NetworkService.fromPartial({ name: "s" })],
  listEndpoints: async () => [NetworkServiceEndpoint.fromPartial({ name: "e" })],
  listForwarders: async () => [NetworkServiceEndpoint.fromPartial({ name: "f" })],
  listNodes: async () => [MeshNode.fromPartial({ name: "n" })],
  readSegmentCounters: async (segment) => [
    CountedNode.fromPartial({ node: "node-1", members: [{ name: `cam of ${segment}`, flooded: 7 }] }),
  ],
};

export function nodeCases(world: () => TransportWorld): void {
  it("offers a node to its administrator", async () => {
    const { url } = await world().listen({ node: api });
    const node = world().peers.node(url);
    assert.equal((await node.info(forever)).pid, 7);
    const attachment = await node.attach(AttachRequest.fromPartial({ networkService: "icmp", pod, timeoutMs: 60_000 }), forever);
    assert.deepEqual([attachment.id, attachment.networkService, attachment.pod?.netnsUrl], ["web-1", "icmp", pod.netnsUrl]);
    await node.detach({ id: "web-1" }, forever);
    await assert.rejects(node.detach({ id: "other" }, forever), { code: "not-found", message: "there is no attachment other" });
    await node.unserve({ name: "e-1" }, forever);
    const served: string[] = [];
    for await (const one of node.serve(ServeRequest.fromPartial({ networkService: "icmp", pod, cidrs: ["10.0.0.0/24"] }), forever))
      served.push(`${one.name} ${one.cidrs.join()}`);
    assert.deepEqual(served, ["e-1 10.0.0.0/24"]);
    const [attachments, connections, services, endpoints, forwarders, nodes] = await Promise.all([
      node.listAttachments(forever),
      node.listConnections(forever),
      node.listServices(forever),
      node.listEndpoints(forever),
      node.listForwarders(forever),
      node.listNodes(forever),
    ]);
    const names = [attachments[0]?.id, connections[0]?.id, services[0]?.name, endpoints[0]?.name, forwarders[0]?.name, nodes[0]?.name];
    assert.deepEqual(names, ["web-1", "c", "s", "e", "f", "n"]);
    const [counted] = await node.readSegmentCounters("plant", forever);
    assert.deepEqual([counted?.node, counted?.members[0]?.name, counted?.members[0]?.flooded], ["node-1", "cam of plant", 7]);
  });

  it("refuses a request without a pod", async () => {
    const { url } = await world().listen({ node: api });
    const request = AttachRequest.fromPartial({ networkService: "icmp" });
    await assert.rejects(world().peers.node(url).attach(request, forever), { code: "invalid", message: "the request names no pod" });
  });
}
