import assert from "node:assert/strict";
import { type ServedEndpoint, ServeRequest } from "../../../api/gen/isthmus/v1/node.js";
import { NetworkService } from "../../../api/gen/registry/registry.js";
import { meshIdentity } from "../../lib/mesh/identities.js";
import { nothingLeft, patience } from "../../lib/mesh/look.js";
import { registryUrl } from "../../lib/mesh/registry.js";
import { Mesh } from "../../lib/mesh.js";

/** Serves without detaching; the endpoint lives until `stop`. */
async function serveForNow(mesh: Mesh, service: string) {
  const stop = new AbortController();
  const pod = { name: "server", netnsUrl: mesh.node(1).pod("server") };
  const request = ServeRequest.fromPartial({ networkService: service, pod, cidrs: ["172.16.1.0/24"] });
  const stream = mesh.node(1).client.serve(request, stop.signal)[Symbol.asyncIterator]();
  const served: ServedEndpoint = (await stream.next()).value;
  return { served, stop, ended: stream.next() };
}

const endpointNames = async (mesh: Mesh) => {
  const all = await mesh.node(1).client.listEndpoints(patience);
  return all.map(({ name }) => name).filter((name) => !name.startsWith("forwarder"));
};

describe("an endpoint that nsmgr serves", () => {
  it("is registered with its labels and the node's name, and its service with the payload", async () => {
    await using mesh = await Mesh.start({ nodes: 2 });
    const served = await mesh.node(1).serve("web", "server", { payload: "ethernet", labels: { tier: "1" } });
    assert.match(served.name, /^web-server-[0-9a-f]{8}$/);
    assert.equal(served.detached, true);
    const endpoints = await mesh.node(2).client.listEndpoints(patience);
    const labels = endpoints.find(({ name }) => name === served.name)?.networkServiceLabels.web?.labels;
    assert.deepEqual(labels, { nodeName: "node-1", site: "test", podName: "server", tier: "1" });
    const services = await mesh.node(2).client.listServices(patience);
    assert.equal(services.find(({ name }) => name === "web")?.payload, "ETHERNET");
  });

  it("gives twenty clients an interface in its pod and addresses of both families each", async () => {
    await using mesh = await Mesh.start();
    const node = mesh.node(1);
    await node.serve("a-very-long-name", "server", { cidrs: ["172.16.1.0/24", "2001:db8::/112"] });
    const all = await Promise.all(Array.from({ length: 20 }, (_, i) => node.attach("a-very-long-name", `client-${i}`)));
    assert.equal(new Set(all.flatMap(({ connection }) => connection?.context?.ipContext?.srcIpAddrs)).size, 40);
    const served = node.forwarder.interfaces.list().filter((line) => line.startsWith("server "));
    assert.equal(new Set(served).size, 20);
    for (const line of served) assert.match(line, /^server averyl-[0-9a-f]{8}$/);
  });

  it("can be one of two of a service in one pod", async () => {
    await using mesh = await Mesh.start();
    const node = mesh.node(1);
    const one = await node.serve("web", "server");
    const two = await node.serve("web", "server", { cidrs: ["172.16.2.0/24"] });
    assert.notEqual(one.name, two.name);
    await node.attach("web", "client", { endpoint: one.name });
    await node.attach("web", "client", { endpoint: two.name });
    assert.equal(node.forwarder.interfaces.list().length, 4);
  });

  it("is refused a second time", async () => {
    await using mesh = await Mesh.start();
    const { name } = await mesh.node(1).serve("web", "server");
    await assert.rejects(mesh.node(1).serve("web", "server"), { code: "exists", message: new RegExp(name) });
    await assert.rejects(mesh.node(1).serve("mail", "other", { name }), { code: "exists", message: new RegExp(name) });
    assert.deepEqual(await endpointNames(mesh), [name]);
  });

  it("is refused under a service with another payload, and leaves nothing", async () => {
    await using mesh = await Mesh.start();
    await mesh.node(1).serve("web", "server");
    const other = mesh.node(1).serve("web", "other", { payload: "ethernet" });
    await assert.rejects(other, { code: "exists", message: /web carries ip, not ethernet/ });
    assert.equal((await endpointNames(mesh)).length, 1);
    assert.equal(mesh.node(1).disk.keys("hosted/").length, 1);
  });

  it("refuses what it does not carry, whatever its service is said to carry by now", async () => {
    await using mesh = await Mesh.start();
    const { name } = await mesh.node(1).serve("web", "server");
    await using peers = mesh.world.network.peers({
      identity: await meshIdentity(mesh.world, "node/node-1/nsmgr"),
      clock: mesh.world.clock,
    });
    const changed = NetworkService.fromPartial({ name: "web", payload: "ETHERNET" });
    await peers.services(registryUrl).register(changed, { signal: patience });
    await assert.rejects(mesh.node(1).attach("web", "client"), {
      code: "no-endpoint",
      message: new RegExp(`the endpoint ${name} carries IP, not ETHERNET`),
    });
    await nothingLeft(mesh);
  });

  const wrong: readonly [what: string, request: Partial<ServeRequest>, message: RegExp][] = [
    ["a malformed range", { cidrs: ["172.16.1.0/33"] }, /172\.16\.1\.0\/33/],
    ["no range", { cidrs: [] }, /needs a range of addresses/],
    ["two ranges of one family", { cidrs: ["10.0.0.0/24", "10.1.0.0/24"] }, /at most one range per family/],
    ["an unknown payload", { payload: "atm" }, /ip or ethernet, got "atm"/],
    ["no service", { networkService: "" }, /service/],
    ["a namespace that is not there", { pod: { name: "x", netnsUrl: "file:///run/netns/none", labels: {} } }, /no network namespace/],
  ];
  for (const [what, request, message] of wrong)
    it(`with ${what} is refused in one sentence`, async () => {
      await using mesh = await Mesh.start();
      await assert.rejects(mesh.node(1).serve("web", "server", request), { code: "invalid", message });
      assert.deepEqual(await endpointNames(mesh), []);
    });

  it("ends with the command that serves it", async () => {
    await using mesh = await Mesh.start();
    const { served, stop } = await serveForNow(mesh, "web");
    assert.deepEqual(await endpointNames(mesh), [served.name]);
    await mesh.node(1).attach("web", "client");
    stop.abort();
    await mesh.until("it is gone", 1_000, async () => (await endpointNames(mesh)).length === 0);
    const [attachment] = await mesh.node(1).client.listAttachments(patience);
    assert.equal(attachment?.state, "healing");
    assert.deepEqual(mesh.node(1).disk.keys("hosted/"), []);
  });

  it("tells the command that serves it when its pod is gone", async () => {
    await using mesh = await Mesh.start();
    const { ended } = await serveForNow(mesh, "web");
    mesh.world.namespaces.remove("server");
    const failed = assert.rejects(ended, { code: "netns-gone" });
    await mesh.until("it is gone", 1_000, async () => (await endpointNames(mesh)).length === 0);
    await failed;
  });

  it("is served again after a restart when it was detached, and only then", async () => {
    await using mesh = await Mesh.start();
    const detached = await mesh.node(1).serve("mail", "server");
    const { ended } = await serveForNow(mesh, "web");
    const broken = assert.rejects(ended, { code: "unreachable" });
    await mesh.node(1).killNsmgr();
    await broken;
    await mesh.node(1).startNsmgr();
    await mesh.until("only one is left", 1_000, async () => (await endpointNames(mesh)).join() === detached.name);
    await mesh.node(1).attach("mail", "client");
    assert.equal(mesh.node(1).disk.keys("hosted/").length, 1);
  });

  it("is not served again after a restart when its pod went meanwhile", async () => {
    await using mesh = await Mesh.start();
    await mesh.node(1).serve("web", "server");
    await mesh.node(1).killNsmgr();
    mesh.world.namespaces.remove("server");
    await mesh.node(1).startNsmgr();
    await mesh.until("it is gone", 1_000, async () => (await endpointNames(mesh)).length === 0);
  });

  it("outlives its first registration", async () => {
    await using mesh = await Mesh.start({ nodes: 2, expirePeriodMs: 3_000 });
    const { name } = await mesh.node(1).serve("web", "server");
    for (let i = 0; i < 4; i++) {
      await mesh.world.clock.advance(2_000);
      assert.deepEqual(await endpointNames(mesh), [name]);
    }
  });

  it("frees the addresses of a client that never came back after a restart", async () => {
    await using mesh = await Mesh.start({ nodes: 2, tokenLifetimeMs: 10_000 });
    await mesh.node(2).serve("web", "server");
    await mesh.node(1).attach("web", "lost");
    await mesh.node(1).killNsmgr();
    await mesh.node(2).killNsmgr();
    await mesh.node(2).startNsmgr();
    assert.equal(mesh.node(2).disk.keys("lease/").length, 1);
    await mesh.world.clock.advance(10_000);
    await mesh.until("it is freed", 1_000, () => mesh.node(2).disk.keys("lease/").length === 0);
  });

  it("is gone after unserve, which says what there is for a name that there is not", async () => {
    await using mesh = await Mesh.start();
    const { name } = await mesh.node(1).serve("web", "server");
    await assert.rejects(mesh.node(1).client.unserve({ name: "wob" }, patience), { code: "not-found", message: new RegExp(name) });
    await mesh.node(1).client.unserve({ name }, patience);
    assert.deepEqual(await endpointNames(mesh), []);
    await nothingLeft(mesh);
  });
});

describe("a node", () => {
  it("tells who it is, and which nodes there are", async () => {
    await using mesh = await Mesh.start({ nodes: 2 });
    const { name, nodeId, site, registryReachable, listenOn } = await mesh.node(1).client.info(patience);
    assert.deepEqual({ name, nodeId, site }, { name: "nsmgr-node-1", nodeId: "node-1", site: "test" });
    assert.equal(registryReachable, true);
    assert.deepEqual(listenOn, ["unix:///run/node-1/nsmgr.sock", "tcp://10.0.0.1:5001"]);
    const nodes = await mesh.node(2).client.listNodes(patience);
    assert.deepEqual(
      nodes.map((node) => `${node.name} ${node.site} ${node.nsmgrUrl} ${node.forwarders}`),
      ["node-1 test tcp://10.0.0.1:5001 forwarder-node-1", "node-2 test tcp://10.0.0.2:5001 forwarder-node-2"],
    );
    assert.deepEqual(
      (await mesh.node(2).client.listForwarders(patience)).map(({ url }) => url),
      ["unix:///run/node-2/forwarder.sock"],
    );
  });

  it("takes its non-detached endpoints with it when it is told to stop", async () => {
    await using mesh = await Mesh.start({ nodes: 2 });
    const { served, ended } = await serveForNow(mesh, "web");
    const broken = assert.rejects(ended);
    await mesh.node(1).stopNsmgr();
    await broken;
    const names = (await mesh.node(2).client.listEndpoints(patience)).map(({ name }) => name);
    assert.equal(names.includes(served.name), false);
  });
});
