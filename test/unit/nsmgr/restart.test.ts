import assert from "node:assert/strict";
import { nothingLeft, patience } from "../../lib/mesh/look.js";
import { Mesh } from "../../lib/mesh.js";

/** A mesh of two nodes with one connection from the first to the second. */
async function joined() {
  const mesh = await Mesh.start({ nodes: 2 });
  await mesh.node(2).serve("web", "server", { name: "web-1" });
  const attachment = await mesh.node(1).attach("web", "client");
  const interfaces = () => mesh.nodes.map((node) => node.forwarder.interfaces.list());
  const before = interfaces();
  const isUp = async () => {
    const [now] = await mesh.node(1).client.listAttachments(patience);
    const hops = await Promise.all(mesh.nodes.map(async (node) => (await node.client.listConnections(patience)).length));
    return now?.state === "up" && hops.join() === "1,1" && now;
  };
  return { mesh, attachment, interfaces, before, isUp };
}

describe("a connection", () => {
  for (const [what, ...nodes] of [
    ["the client's nsmgr", 1],
    ["the endpoint's nsmgr", 2],
    ["both nsmgrs", 1, 2],
  ] as const)
    it(`is the same one after ${what} was killed and started again`, async () => {
      const { mesh, attachment, interfaces, before, isUp } = await joined();
      await using _ = mesh;
      for (const node of nodes) await mesh.node(node).killNsmgr();
      assert.deepEqual(interfaces(), before);
      for (const node of nodes) await mesh.node(node).startNsmgr();
      const now = await mesh.until("it is up again", 3_000, isUp);
      assert.equal(now.id, attachment.id);
      assert.equal(now.interface, attachment.interface);
      assert.deepEqual(now.connection?.context?.ipContext, attachment.connection?.context?.ipContext);
      assert.deepEqual(interfaces(), before);
      await mesh.node(1).client.detach({ id: attachment.id }, patience);
      await nothingLeft(mesh);
    });

  it("is the same one after everything was killed, forwarders too", async () => {
    const { mesh, attachment, interfaces, before, isUp } = await joined();
    await using _ = mesh;
    for (const node of mesh.nodes) await Promise.all([node.killNsmgr(), node.forwarder.kill()]);
    await mesh.registry.kill();
    await mesh.registry.start();
    for (const node of mesh.nodes) await node.start();
    const now = await mesh.until("it is up again", 3_000, isUp);
    assert.deepEqual(now.connection?.context?.ipContext, attachment.connection?.context?.ipContext);
    assert.deepEqual(interfaces(), before);
  });

  it("is closed at a node that was away for long, where the nsmgr is back before its forwarder", async () => {
    const { mesh, attachment } = await joined();
    await using _ = mesh;
    await Promise.all([mesh.node(2).killNsmgr(), mesh.node(2).forwarder.kill()]);
    // Longer than the forwarder's registration lasts.
    await mesh.world.clock.advance(70_000);
    await mesh.node(2).startNsmgr();
    const detached = mesh.node(1).client.detach({ id: attachment.id }, patience);
    await mesh.until("the close has come to the nsmgr", 30_000, async () => {
      const [now] = await mesh.node(1).client.listAttachments(patience);
      return /the forwarder "forwarder-node-2", which has this connection, is not registered/.test(now?.reason ?? "");
    });
    await mesh.node(2).forwarder.start();
    await mesh.until("nothing is left there", 30_000, () => mesh.node(2).forwarder.interfaces.list().length === 0);
    await detached.catch(() => {});
    await nothingLeft(mesh);
  });

  it("keeps its address when the endpoint's nsmgr was away and others ask", async () => {
    const { mesh, attachment } = await joined();
    await using _ = mesh;
    await mesh.node(2).killNsmgr();
    await mesh.node(2).startNsmgr();
    const other = await mesh.node(2).attach("web", "other");
    assert.notDeepEqual(other.connection?.context?.ipContext?.srcIpAddrs, attachment.connection?.context?.ipContext?.srcIpAddrs);
  });

  it("is asked for again while the registry is away", async () => {
    const { mesh, attachment, isUp } = await joined();
    await using _ = mesh;
    await mesh.registry.kill();
    await mesh.node(1).killNsmgr();
    await mesh.node(1).startNsmgr();
    assert.equal((await mesh.until("it is up again", 3_000, isUp)).id, attachment.id);
  });

  it("goes to another endpoint where no packets cross to the old one after a restart", async () => {
    const { mesh } = await joined();
    await using _ = mesh;
    await mesh.node(1).serve("web", "second", { name: "web-2" });
    await mesh.node(1).killNsmgr();
    mesh.node(1).forwarder.reportDead();
    await mesh.node(2).killNsmgr();
    await mesh.node(1).startNsmgr();
    const isMoved = async () =>
      (await mesh.node(1).client.listAttachments(patience))[0]?.connection?.networkServiceEndpointName === "web-2";
    await mesh.until("it has moved", 3_000, isMoved);
  });
});

describe("an attachment that was not finished", () => {
  it("is closed and forgotten when nsmgr died while it was requested", async () => {
    await using mesh = await Mesh.start({ nodes: 2 });
    await mesh.node(2).serve("web", "server");
    const [node] = mesh.nodes;
    assert.ok(node);
    const killed = new Promise<void>((resolve) => {
      node.forwarder.after = async () => {
        node.forwarder.after = () => {};
        await node.killNsmgr();
        resolve();
      };
    });
    await assert.rejects(node.attach("web", "client"), { code: "unreachable" });
    await killed;
    assert.equal(node.disk.keys("attachment/").length, 1);
    await node.startNsmgr();
    await nothingLeft(mesh);
  });

  it("is closed when nsmgr died after the answer and before it was written down", async () => {
    await using mesh = await Mesh.start({ nodes: 2 });
    await mesh.node(2).serve("web", "server");
    const node = mesh.node(1);
    const attachment = await node.attach("web", "client");
    await node.killNsmgr();
    const key = `attachment/${attachment.id}`;
    await node.disk.put(key, { ...node.disk.get<object>(key), state: "requesting", connection: undefined });
    await node.startNsmgr();
    await nothingLeft(mesh);
  });

  it("is closed when its pod went while nsmgr was away", async () => {
    const { mesh } = await joined();
    await using _ = mesh;
    await mesh.node(1).killNsmgr();
    mesh.world.namespaces.remove("client");
    await mesh.node(1).startNsmgr();
    await nothingLeft(mesh);
  });
});

describe("a detach", () => {
  it("that cannot reach the other node goes on behind its caller, through a restart", async () => {
    const { mesh, attachment } = await joined();
    await using _ = mesh;
    await mesh.node(2).killNsmgr();
    const user = new AbortController();
    const detaching = mesh.node(1).client.detach({ id: attachment.id }, user.signal);
    const isClosing = async () => (await mesh.node(1).client.listAttachments(patience))[0]?.reason.includes("10.0.0.2");
    await mesh.until("it says why", 3_000, isClosing);
    assert.equal((await mesh.node(1).client.listAttachments(patience))[0]?.state, "closing");
    user.abort();
    await assert.rejects(detaching);
    assert.deepEqual(mesh.node(1).forwarder.interfaces.list(), []);
    await mesh.node(1).killNsmgr();
    await mesh.node(1).startNsmgr();
    await mesh.node(2).startNsmgr();
    await mesh.until("it is gone", 5_000, async () => (await mesh.node(1).client.listAttachments(patience)).length === 0);
    await nothingLeft(mesh);
  });
});
