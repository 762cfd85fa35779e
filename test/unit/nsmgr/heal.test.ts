import assert from "node:assert/strict";
import { NetworkService } from "../../../api/gen/registry/registry.js";
import { joinWishes } from "../../../core/segment/wishes.js";
import { nothingLeft, patience } from "../../lib/mesh/look.js";
import { Mesh } from "../../lib/mesh.js";

/** Three nodes: a client on the first, an endpoint on each of the others; the second's is in use. */
async function twoEndpoints() {
  const mesh = await Mesh.start({ nodes: 3 });
  await mesh.node(2).serve("web", "server-2", { name: "web-2" });
  await mesh.node(3).serve("web", "server-3", { name: "web-3", cidrs: ["172.16.3.0/24"] });
  const attachment = await mesh.node(1).attach("web", "client", { endpoint: "web-2" });
  const [port] = mesh.node(1).forwarder.interfaces.list();
  const now = async () => (await mesh.node(1).client.listAttachments(patience))[0];
  const healedTo = (endpoint: string) => async () => {
    const found = await now();
    return found?.state === "up" && found.heals > 0 && found.connection?.networkServiceEndpointName === endpoint && found;
  };
  return { mesh, attachment, port, now, healedTo };
}

describe("a connection heals", () => {
  it("to another endpoint when its own is unserved", async () => {
    const { mesh, attachment, port, healedTo } = await twoEndpoints();
    await using _ = mesh;
    await mesh.node(2).client.unserve({ name: "web-2" }, patience);
    const healed = await mesh.until("it heals", 3_000, healedTo("web-3"));
    assert.equal(healed.id, attachment.id);
    assert.equal(healed.interface, attachment.interface);
    assert.deepEqual(healed.connection?.context?.ipContext?.srcIpAddrs, ["172.16.3.1/32"]);
    assert.ok(
      mesh
        .node(1)
        .forwarder.interfaces.list()
        .includes(port ?? ""),
    );
    await mesh.until("the old node has nothing left", 1_000, () => mesh.node(2).forwarder.interfaces.list().length === 0);
    await mesh.node(1).client.detach({ id: attachment.id }, patience);
    await nothingLeft(mesh);
  });

  it("with what it wanted of a segment", async () => {
    const { mesh } = await twoEndpoints();
    await using _ = mesh;
    await mesh.node(1).attach("web", "other", { endpoint: "web-2", sticky: "cam", services: ["http"] });
    await mesh.node(2).client.unserve({ name: "web-2" }, patience);
    const healed = await mesh.until("it heals", 3_000, async () => {
      const all = await mesh.node(1).client.listAttachments(patience);
      return all.find(({ pod, state, heals }) => pod?.name === "other" && state === "up" && heals > 0)?.connection;
    });
    assert.equal(healed.networkServiceEndpointName, "web-3");
    const { sticky, services } = joinWishes(healed);
    assert.deepEqual([sticky, services], ["cam", ["http"]]);
  });

  it("to another endpoint when the pod of its own is gone", async () => {
    const { mesh, healedTo } = await twoEndpoints();
    await using _ = mesh;
    mesh.world.namespaces.remove("server-2");
    await mesh.until("it heals", 3_000, healedTo("web-3"));
    const names = (await mesh.node(1).client.listEndpoints(patience)).map(({ name }) => name);
    assert.equal(names.includes("web-2"), false);
  });

  it("to another endpoint when the node of its own dies", async () => {
    const { mesh, healedTo } = await twoEndpoints();
    await using _ = mesh;
    mesh.node(1).forwarder.dataPath = "dead";
    await mesh.node(2).killNsmgr();
    await mesh.node(2).forwarder.kill();
    await mesh.until("it heals", 3_000, healedTo("web-3"));
  });

  it("to the same endpoint when packets still cross and only programs died", async () => {
    const { mesh, now, attachment } = await twoEndpoints();
    await using _ = mesh;
    await mesh.node(2).killNsmgr();
    await mesh.until("it is seen", 3_000, async () => (await now())?.state === "healing");
    assert.notEqual((await now())?.reason, "");
    await mesh.node(2).startNsmgr();
    const healed = await mesh.until("it heals", 3_000, async () => (await now())?.state === "up" && now());
    assert.equal(healed?.connection?.networkServiceEndpointName, "web-2");
    assert.deepEqual(healed?.connection?.context?.ipContext, attachment.connection?.context?.ipContext);
  });

  it("when its own forwarder was killed and started again", async () => {
    const { mesh, now } = await twoEndpoints();
    await using _ = mesh;
    await mesh.node(1).forwarder.kill();
    await mesh.until("it is seen", 3_000, async () => (await now())?.state === "healing");
    await mesh.node(1).forwarder.start();
    const healed = await mesh.until("it heals", 3_000, async () => (await now())?.state === "up" && now());
    assert.equal(healed?.connection?.networkServiceEndpointName, "web-2");
  });

  it("to an endpoint that its service's matches allow, when they change", async () => {
    await using mesh = await Mesh.start({ nodes: 3 });
    const services = mesh.client.services(mesh.node(1).urls.tcp);
    const web = { name: "web", payload: "IP" };
    await services.register(NetworkService.fromPartial(web), { signal: patience });
    await mesh.node(2).serve("web", "server-2", { name: "web-2" });
    await mesh.node(3).serve("web", "server-3", { name: "web-3" });
    await mesh.node(1).attach("web", "client", { endpoint: "web-2" });
    const matches = [{ routes: [{ destinationSelector: { nodeName: "node-3" } }] }];
    await services.register(NetworkService.fromPartial({ ...web, matches }), { signal: patience });
    const endpoint = async () => (await mesh.node(1).client.listAttachments(patience))[0]?.connection?.networkServiceEndpointName;
    await mesh.until("it heals", 3_000, async () => (await endpoint()) === "web-3");
  });

  it("without the addresses of a family that its new endpoint does not give", async () => {
    await using mesh = await Mesh.start();
    const node = mesh.node(1);
    await node.serve("web", "server", { name: "web-1", cidrs: ["10.0.0.0/24", "2001:db8::/112"] });
    await node.attach("web", "client");
    await node.serve("web", "server", { name: "web-2", cidrs: ["10.0.2.0/24"] });
    await node.client.unserve({ name: "web-1" }, patience);
    const healed = await mesh.until("it heals", 3_000, async () => {
      const [now] = await node.client.listAttachments(patience);
      return now?.connection?.networkServiceEndpointName === "web-2" && now;
    });
    const { srcIpAddrs, dstIpAddrs, srcRoutes } = healed.connection?.context?.ipContext ?? {};
    assert.deepEqual([srcIpAddrs, dstIpAddrs], [["10.0.2.1/32"], ["10.0.2.0/32"]]);
    assert.deepEqual(
      srcRoutes?.map(({ prefix }) => prefix),
      ["10.0.2.0/32"],
    );
  });

  it("and says meanwhile what its hops say", async () => {
    const { mesh, now } = await twoEndpoints();
    await using _ = mesh;
    for (const node of [2, 3]) mesh.node(node).forwarder.before = () => new Promise(() => {});
    mesh.node(1).forwarder.reportDead();
    const found = await mesh.until("it is seen", 1_000, async () => (await now())?.state === "healing" && now());
    assert.equal(found?.connection?.path?.pathSegments[2]?.metrics["isthmus.datapath"], "dead");
    assert.equal(found?.connection?.state, 1);
  });

  it("as soon as there is an endpoint again", async () => {
    await using mesh = await Mesh.start();
    const node = mesh.node(1);
    await node.serve("web", "server", { name: "web-1" });
    await node.attach("web", "client");
    await node.client.unserve({ name: "web-1" }, patience);
    const now = async () => (await node.client.listAttachments(patience))[0];
    await mesh.until("it waits", 1_000, async () => (await now())?.reason.includes("web"));
    await node.serve("web", "server", { name: "web-2" });
    await mesh.until("it heals", 3_000, async () => (await now())?.connection?.networkServiceEndpointName === "web-2");
  });
});

describe("a connection's life", () => {
  it("is longer than its tokens, because it is refreshed", async () => {
    await using mesh = await Mesh.start({ nodes: 2, tokenLifetimeMs: 3_000 });
    await mesh.node(2).serve("web", "server");
    const first = await mesh.node(1).attach("web", "client");
    const expiryOf = (segments = first.connection?.path?.pathSegments) =>
      Math.min(...(segments ?? []).map(({ expires }) => expires?.seconds ?? 0));
    await mesh.until("it is refreshed", 3_000, async () => {
      const [now] = await mesh.node(1).client.listAttachments(patience);
      return expiryOf(now?.connection?.path?.pathSegments) > expiryOf();
    });
  });

  it("ends at every hop with its tokens when its client is gone for good", async () => {
    await using mesh = await Mesh.start({ nodes: 2, tokenLifetimeMs: 1_500 });
    await mesh.node(2).serve("web", "server");
    await mesh.node(1).attach("web", "client");
    await mesh.node(1).killNsmgr();
    const left = () => mesh.nodes.flatMap((node) => node.forwarder.interfaces.list());
    assert.notDeepEqual(left(), []);
    await mesh.until("nothing is left", 5_000, () => left().length === 0);
    assert.deepEqual(mesh.node(2).disk.keys("lease/"), []);
  });
});
