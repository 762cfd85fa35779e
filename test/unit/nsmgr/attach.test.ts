import assert from "node:assert/strict";
import { MeshError } from "../../../core/error.js";
import { joinWishes } from "../../../core/segment/wishes.js";
import { namesOf, nothingLeft, patience } from "../../lib/mesh/look.js";
import { Mesh } from "../../lib/mesh.js";

describe("an attachment", () => {
  it("joins a pod to an endpoint of its own node, over four hops", async () => {
    await using mesh = await Mesh.start();
    const node = mesh.node(1);
    await node.serve("web", "server", { name: "web-1" });
    const attachment = await node.attach("web", "client");
    assert.equal(attachment.state, "up");
    assert.deepEqual(namesOf(attachment), ["client", "nsmgr-node-1", "forwarder-node-1", "web-1"]);
    assert.deepEqual(attachment.connection?.context?.ipContext?.srcIpAddrs, ["172.16.1.1/32"]);
    assert.equal(attachment.connection?.payload, "IP");
    assert.equal(attachment.interface, "nsm0");
    assert.match(node.forwarder.interfaces.list().join(), /^client nsm0,server web-[0-9a-f]{8}$/);
  });

  it("joins a pod to an endpoint of another node, over six hops, each with a token", async () => {
    await using mesh = await Mesh.start({ nodes: 2 });
    await mesh.node(2).serve("web", "server", { name: "web-1", labels: { colour: "blue" } });
    const attachment = await mesh.node(1).attach("web", "client", { labels: { colour: "blue" } });
    const hops = ["client", "nsmgr-node-1", "forwarder-node-1", "nsmgr-node-2", "forwarder-node-2", "web-1"];
    assert.deepEqual(namesOf(attachment), hops);
    const { connection } = attachment;
    assert.equal(
      connection?.path?.pathSegments.every(({ token, expires }) => token !== "" && expires !== undefined),
      true,
    );
    assert.equal(new Set(connection?.path?.pathSegments.map(({ id }) => id)).size, 6);
    assert.deepEqual(connection?.labels, { podName: "client", nodeName: "node-1", colour: "blue" });
    assert.equal(connection?.id, attachment.id);
    assert.equal(connection?.path?.pathSegments[3]?.metrics["isthmus.program"], "nsmgr");
  });

  it("leaves nothing at any hop when it is detached", async () => {
    await using mesh = await Mesh.start({ nodes: 2 });
    await mesh.node(2).serve("web", "server");
    const { id } = await mesh.node(1).attach("web", "client");
    await mesh.node(1).client.detach({ id }, patience);
    await nothingLeft(mesh);
    await assert.rejects(mesh.node(1).client.detach({ id }, patience), { code: "not-found", message: new RegExp(id) });
  });

  it("gives twenty connections of one pod an interface and addresses each", async () => {
    await using mesh = await Mesh.start({ nodes: 2 });
    await mesh.node(2).serve("web", "server");
    const all = await Promise.all(Array.from({ length: 20 }, () => mesh.node(1).attach("web", "client")));
    assert.equal(new Set(all.map((attachment) => attachment.interface)).size, 20);
    assert.equal(new Set(all.map(({ connection }) => connection?.context?.ipContext?.srcIpAddrs[0])).size, 20);
    await Promise.all(all.map(({ id }) => mesh.node(1).client.detach({ id }, patience)));
    await nothingLeft(mesh);
  });

  it("does not give a pod the same address from two endpoints with the same range", async () => {
    await using mesh = await Mesh.start();
    const node = mesh.node(1);
    await node.serve("web", "a", { cidrs: ["10.0.0.0/29"] });
    await node.serve("mail", "b", { cidrs: ["10.0.0.0/29"] });
    const first = await node.attach("web", "client");
    const second = await node.attach("mail", "client");
    assert.deepEqual(first.connection?.context?.ipContext?.srcIpAddrs, ["10.0.0.1/32"]);
    assert.deepEqual(second.connection?.context?.ipContext?.srcIpAddrs, ["10.0.0.3/32"]);
  });

  it("takes no address from excluded prefixes", async () => {
    await using mesh = await Mesh.start();
    const node = mesh.node(1);
    node.excludedPrefixes = ["172.16.1.0/30"];
    await node.serve("web", "server");
    const { connection } = await node.attach("web", "client");
    assert.deepEqual(connection?.context?.ipContext?.dstIpAddrs, ["172.16.1.4/32"]);
  });

  it("carries the wish for a mechanism along, not as a label", async () => {
    await using mesh = await Mesh.start();
    await mesh.node(1).serve("web", "server");
    const attachment = await mesh.node(1).attach("web", "client", { mechanism: "wireguard" });
    assert.equal(attachment.connection?.context?.extraContext["isthmus.mechanism"], "wireguard");
    assert.equal(attachment.requestedMechanism, "wireguard");
    assert.deepEqual(Object.keys(attachment.connection?.labels ?? {}).sort(), ["nodeName", "podName"]);
  });

  it("carries what it wants of a segment along, also after nsmgr was killed", async () => {
    await using mesh = await Mesh.start();
    const node = mesh.node(1);
    await node.serve("web", "server");
    const wished = { ips: ["172.16.1.9"], sticky: "cam", announces: ["10.9.0.0/24", "fd09::/64"], services: ["http:80/tcp"] };
    await node.attach("web", "client", { ...wished, allowSpoofing: true });
    const wishes = async () => {
      const [attachment] = await node.client.listAttachments(patience);
      return attachment?.state === "up" && attachment.connection && joinWishes(attachment.connection);
    };
    const expected = {
      ...{ addresses: ["172.16.1.9"], sticky: "cam", announces: ["10.9.0.0/24", "fd09::/64"] },
      ...{ services: ["http:80/tcp"], spoofing: true },
    };
    assert.deepEqual(await wishes(), expected);
    await node.killNsmgr();
    await node.startNsmgr();
    assert.deepEqual(await mesh.until("it is up again", 3_000, wishes), expected);
    assert.deepEqual(
      (await node.client.listConnections(patience)).map((conn) => joinWishes(conn)),
      [expected],
      "what the next hop was asked for after the restart",
    );
  });

  it("asks for the endpoint that was named", async () => {
    await using mesh = await Mesh.start();
    const node = mesh.node(1);
    await node.serve("web", "a", { name: "web-a" });
    await node.serve("web", "b", { name: "web-b" });
    const chosen = await Promise.all(["web-b", "web-a", "web-b"].map((endpoint) => node.attach("web", "client", { endpoint })));
    assert.deepEqual(
      chosen.map(({ connection }) => connection?.networkServiceEndpointName),
      ["web-b", "web-a", "web-b"],
    );
  });

  it("names itself where no pod's name is given", async () => {
    await using mesh = await Mesh.start();
    const node = mesh.node(1);
    await node.serve("web", "server");
    const attachment = await node.attach("web", "", { pod: { name: "", netnsUrl: node.pod("anonymous"), labels: {} } });
    assert.match(namesOf(attachment)[0] ?? "", /^netns-[0-9a-f]{8}$/);
  });

  it("is closed at every hop when its network namespace is gone", async () => {
    await using mesh = await Mesh.start({ nodes: 2 });
    await mesh.node(2).serve("web", "server");
    await mesh.node(1).attach("web", "client");
    mesh.world.namespaces.remove("client");
    await mesh.until("it is closed", 3_000, async () => (await mesh.node(1).client.listAttachments(patience)).length === 0);
    await nothingLeft(mesh);
  });

  it("is closed when its forwarder says that the network namespace is gone", async () => {
    await using mesh = await Mesh.start({ nodes: 2 });
    await mesh.node(2).serve("web", "server");
    await mesh.node(1).attach("web", "client");
    mesh.node(1).forwarder.before = () => {
      throw new MeshError("netns-gone", "the pod is gone");
    };
    mesh.node(1).forwarder.reportDead();
    await mesh.until("it is closed", 3_000, async () => (await mesh.node(1).client.listAttachments(patience)).length === 0);
    await nothingLeft(mesh);
  });

  for (const [what, happens] of [
    ["when its forwarder closes it", async (mesh: Mesh) => mesh.node(1).forwarder.endAll()],
    [
      "after a restart",
      async (mesh: Mesh) =>
        mesh
          .node(1)
          .killNsmgr()
          .then(() => mesh.node(1).startNsmgr()),
    ],
  ] as const)
    it(`ends where what it had belongs to another by now, and is not asked for without end: ${what}`, async () => {
      await using mesh = await Mesh.start({ nodes: 2 });
      await mesh.node(2).serve("web", "server");
      await mesh.node(1).attach("web", "client");
      let asked = 0;
      mesh.node(1).forwarder.before = () => {
        asked++;
        throw new MeshError("moved", "the sticky name cam was taken over");
      };
      await happens(mesh);
      await mesh.until("it is closed", 3_000, async () => (await mesh.node(1).client.listAttachments(patience)).length === 0);
      assert.equal(asked, 1);
      await nothingLeft(mesh);
    });
});
