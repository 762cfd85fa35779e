import assert from "node:assert/strict";
import { Mesh } from "../../lib/mesh.js";

const patience = new AbortController().signal;

describe("an attachment", () => {
  it("joins a pod to an endpoint of its own node, over four hops", async () => {
    await using mesh = await Mesh.start();
    const node = mesh.node(1);
    await node.serve("web", "server");
    const attachment = await node.attach("web", "client");
    assert.equal(attachment.state, "up");
    assert.deepEqual(
      attachment.connection?.path?.pathSegments.map(({ name }) => name),
      ["client", "nsmgr-node-1", "forwarder-node-1", attachment.connection?.networkServiceEndpointName],
    );
    assert.deepEqual(attachment.connection?.context?.ipContext?.srcIpAddrs, ["172.16.1.1/32"]);
    assert.equal(attachment.interface, "nsm0");
    assert.equal(node.forwarder.interfaces.list().length, 2);
  });

  it("joins a pod to an endpoint of another node, over six hops", async () => {
    await using mesh = await Mesh.start({ nodes: 2 });
    await mesh.node(2).serve("web", "server", { name: "web-1" });
    const { connection } = await mesh.node(1).attach("web", "client");
    assert.deepEqual(
      connection?.path?.pathSegments.map(({ name }) => name),
      ["client", "nsmgr-node-1", "forwarder-node-1", "nsmgr-node-2", "forwarder-node-2", "web-1"],
    );
    assert.equal(connection?.path?.pathSegments.every(({ expires }) => expires !== undefined), true);
  });

  it("leaves nothing at any hop when it is detached", async () => {
    await using mesh = await Mesh.start({ nodes: 2 });
    await mesh.node(2).serve("web", "server");
    const { id } = await mesh.node(1).attach("web", "client");
    await mesh.node(1).client.detach({ id }, patience);
    assert.deepEqual(await mesh.node(1).client.listAttachments(patience), []);
    for (const node of mesh.nodes) {
      assert.deepEqual(node.forwarder.interfaces.list(), []);
      assert.deepEqual(await node.client.listConnections(patience), []);
      assert.deepEqual(node.disk.keys("attachment/"), []);
      assert.deepEqual(node.disk.keys("lease/"), []);
    }
  });
});
