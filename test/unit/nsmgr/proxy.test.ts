import assert from "node:assert/strict";
import { NetworkService, NetworkServiceEndpoint } from "../../../api/gen/registry/registry.js";
import { MeshError } from "../../../core/error.js";
import { silent } from "../../../core/log.js";
import { Keeper, type KeeperParts } from "../../../nsmgr/proxy/keeper.js";
import { Upstream } from "../../../nsmgr/proxy/upstream.js";
import type { Registry } from "../../../rpc/registry.js";
import { FakeClock } from "../../lib/fakeClock.js";
import { patience } from "../../lib/mesh/look.js";
import { registryUrl } from "../../lib/mesh/registry.js";
import { Mesh } from "../../lib/mesh.js";

const ownUrl = "unix:///run/pod/web.sock";
const endpoint = (name: string, url = ownUrl) => NetworkServiceEndpoint.fromPartial({ name, url, networkServiceNames: ["web"] });
const named = (name: string) => NetworkServiceEndpoint.fromPartial({ name });
const ofWeb = NetworkServiceEndpoint.fromPartial({ networkServiceNames: ["web"] });
const context = { signal: patience };

/** A mesh whose registry can be asked as the nodes see it, and as it is. */
async function start(options: Parameters<typeof Mesh.start>[0] = { nodes: 2 }) {
  const mesh = await Mesh.start(options);
  const at = (url: string) => mesh.client.endpoints(url);
  const [one, two] = [at(mesh.node(1).urls.unix), at(mesh.node(options.nodes === 1 ? 1 : 2).urls.unix)];
  const urls = async (registry: ReturnType<typeof at>, query: NetworkServiceEndpoint) => {
    const found: string[] = [];
    for await (const { value } of registry.find(query, { watch: false }, context)) found.push(value.url);
    return found;
  };
  return { mesh, one, two, upstream: at(registryUrl), urls };
}

/** What a watch tells, line by line. */
function listen(mesh: Mesh, registry: Awaited<ReturnType<typeof start>>["one"], query: NetworkServiceEndpoint) {
  const stop = new AbortController();
  const lines: string[] = [];
  const done = (async () => {
    for await (const { value, deleted } of registry.find(query, { watch: true }, { signal: stop.signal }))
      lines.push(deleted ? `- ${value.name}` : `+ ${value.name} ${value.url}`);
  })();
  return {
    lines,
    heard: (line: string) => mesh.until(line, 3_000, () => lines.includes(line)),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await done;
    },
  };
}

describe("the registry as a node sees it", () => {
  it("finds the socket behind an inode, and answers its registrant with his own words", async () => {
    const { mesh, one, two, urls } = await start();
    await using _ = mesh;
    mesh.node(1).sockets.set("inode://4/77", ownUrl);
    assert.equal((await one.register(endpoint("web-1", "inode://4/77"), context)).url, "inode://4/77");
    assert.deepEqual(await urls(one, ofWeb), [ownUrl]);
    assert.deepEqual(await urls(two, ofWeb), [mesh.node(1).urls.tcp]);
  });

  it("has an endpoint of its own under its real url, everywhere else under nsmgr's", async () => {
    const { mesh, one, two, upstream, urls } = await start();
    await using _ = mesh;
    const registered = await one.register(endpoint("web-1"), context);
    assert.equal(registered.url, ownUrl);
    assert.notEqual(registered.expirationTime, undefined);
    for (const query of [named("web-1"), ofWeb]) {
      assert.deepEqual(await urls(one, query), [ownUrl]);
      assert.deepEqual(await urls(two, query), ["tcp://10.0.0.1:5001"]);
      assert.deepEqual(await urls(upstream, query), ["tcp://10.0.0.1:5001"]);
    }
  });

  it("tells a watcher the same, and when it goes", async () => {
    const { mesh, one, two } = await start();
    await using _ = mesh;
    await using here = listen(mesh, one, ofWeb);
    await using there = listen(mesh, two, ofWeb);
    await one.register(endpoint("web-1"), context);
    await here.heard(`+ web-1 ${ownUrl}`);
    await there.heard("+ web-1 tcp://10.0.0.1:5001");
    await one.unregister(endpoint("web-1"), context);
    await here.heard("- web-1");
    await there.heard("- web-1");
    assert.deepEqual([new Set(here.lines).size, new Set(there.lines).size], [2, 2]);
  });

  it("hides what claims to be here and is not", async () => {
    const { mesh, one, two, upstream, urls } = await start();
    await using _ = mesh;
    await upstream.register(endpoint("stale", "tcp://10.0.0.1:5001"), context);
    await using here = listen(mesh, one, ofWeb);
    assert.deepEqual(await urls(one, ofWeb), []);
    assert.deepEqual(await urls(one, named("stale")), []);
    assert.deepEqual(await urls(two, ofWeb), ["tcp://10.0.0.1:5001"]);
    await two.register(endpoint("web-2"), context);
    await here.heard("+ web-2 tcp://10.0.0.2:5001");
    assert.equal(here.lines.length, 1);
  });

  it("knows its own endpoints after nsmgr was killed, without asking anybody", async () => {
    const { mesh, one, urls } = await start();
    await using _ = mesh;
    await one.register(endpoint("web-1"), context);
    await mesh.node(1).killNsmgr();
    await mesh.registry.kill();
    await mesh.node(1).startNsmgr();
    assert.deepEqual(await urls(one, named("web-1")), [ownUrl]);
  });

  it("forgets an endpoint that is not registered again in time", async () => {
    const { mesh, one, urls } = await start({ nodes: 2, expirePeriodMs: 1_000 });
    await using _ = mesh;
    await using here = listen(mesh, one, ofWeb);
    await one.register(endpoint("web-1"), context);
    await here.heard("- web-1");
    assert.deepEqual(await urls(one, ofWeb), []);
  });

  it("refuses an endpoint without a name or a url", async () => {
    const { mesh, one } = await start();
    await using _ = mesh;
    await assert.rejects(one.register(endpoint("web-1", ""), context), { code: "invalid" });
    await assert.rejects(one.register(endpoint(""), context), { code: "invalid" });
  });
});

describe("without the site's registry, a node", () => {
  it("answers what it was asked before, and says what it does not know", async () => {
    const { mesh, one, two, urls } = await start();
    await using _ = mesh;
    await two.register(endpoint("web-2"), context);
    assert.deepEqual(await urls(one, ofWeb), ["tcp://10.0.0.2:5001"]);
    await mesh.registry.kill();
    assert.deepEqual(await urls(one, ofWeb), ["tcp://10.0.0.2:5001"]);
    assert.deepEqual(await urls(two, ofWeb), [ownUrl]);
    await assert.rejects(urls(one, named("other")), { code: "unreachable", message: /tcp:\/\/registry:5002/ });
    assert.equal((await mesh.node(1).client.info(patience)).registryReachable, false);
  });

  it("renews what it has and refuses what is new, naming the registry", async () => {
    const { mesh, one } = await start();
    await using _ = mesh;
    await one.register(endpoint("web-1"), context);
    await mesh.registry.kill();
    assert.equal((await one.register(endpoint("web-1"), context)).url, ownUrl);
    await assert.rejects(one.register(endpoint("web-9"), context), { code: "unreachable", message: /tcp:\/\/registry:5002/ });
    await assert.rejects(mesh.node(1).serve("web", "server"), { code: "unreachable", message: /tcp:\/\/registry:5002/ });
    assert.deepEqual(mesh.node(1).disk.keys("hosted/"), []);
  });

  it("keeps its watchers, and tells them afterwards what went meanwhile", async () => {
    const { mesh, one, two } = await start();
    await using _ = mesh;
    await two.register(endpoint("web-2"), context);
    await using watcher = listen(mesh, one, ofWeb);
    await watcher.heard("+ web-2 tcp://10.0.0.2:5001");
    await mesh.registry.kill();
    await mesh.node(2).killNsmgr();
    await mesh.registry.start({ empty: true });
    await watcher.heard("- web-2");
  });

  it("can let an endpoint go, and the registry hears of it later", async () => {
    const { mesh, one, upstream, urls } = await start();
    await using _ = mesh;
    await one.register(endpoint("web-1"), context);
    await mesh.registry.kill();
    await one.unregister(endpoint("web-1"), context);
    await mesh.registry.start();
    await mesh.until("it is gone", 3_000, async () => (await urls(upstream, ofWeb)).length === 0);
  });
});

describe("a registry that comes back empty", () => {
  it("is told again what every node hosts, with the services", async () => {
    const { mesh, one, upstream, urls } = await start();
    await using _ = mesh;
    await mesh.node(2).serve("mail", "server", { name: "mail-1" });
    await mesh.client.services(mesh.node(1).urls.unix).register(NetworkService.fromPartial({ name: "web", payload: "ETHERNET" }), context);
    await one.register(endpoint("web-1"), context);
    await mesh.registry.kill();
    await mesh.registry.start({ empty: true });
    await mesh.until("endpoints are back", 3_000, async () => (await urls(upstream, named(""))).length === 4);
    const services: string[] = [];
    for await (const { value } of mesh.client.services(registryUrl).find(NetworkService.fromPartial({}), { watch: false }, context))
      services.push(`${value.name} ${value.payload}`);
    assert.deepEqual(services.sort(), ["forwarder IP", "mail IP", "web ETHERNET"]);
    assert.equal((await mesh.node(1).client.info(patience)).registryReachable, true);
    await one.register(endpoint("web-1"), context);
  });

  it("is told again what it has otherwise, as where it was restored from an older copy", async () => {
    const { mesh, one } = await start({ nodes: 1 });
    await using _ = mesh;
    const labelled = (color: string) => ({ ...endpoint("web-1"), networkServiceLabels: { web: { labels: { color } } } });
    await one.register(labelled("red"), context);
    const { store } = mesh.registry;
    const older = await store.get("endpoints/web-1");
    await one.register(labelled("green"), context);
    await mesh.registry.kill();
    await store.commit({ writes: [{ op: "put", key: "endpoints/web-1", value: older?.value ?? assert.fail() }] });
    await mesh.registry.start();
    const color = () => mesh.registry.inside.endpoints.find(named("web-1"), { watch: false }, context);
    await mesh.until("it is green again", 3_000, async () => {
      for await (const { value } of color()) return value.networkServiceLabels.web?.labels.color === "green";
      return false;
    });
  });

  it("lets an endpoint go of which it says that something is another's: its registrant can say what is true", async () => {
    const gone: string[] = [];
    const entry = { endpoint: endpoint("web-1"), expires: 60_000 };
    const stub = {
      local: { all: () => [entry], get: () => entry, remove: async (name: string) => void gone.push(name) },
      upstream: { registry: { find: async function* () {} } },
      endpoints: { publish: () => Promise.reject(new MeshError("moved", "10.60.1.0/24 was not given to it")) },
      services: { restore: async () => [] },
    } as unknown as Pick<KeeperParts, "local" | "upstream" | "endpoints" | "services">;
    await using _ = new Keeper({ ...stub, ownUrl: "tcp://one:5001", clock: new FakeClock(0), log: silent });
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(gone, ["web-1"]);
  });

  it("is not told of what has expired", async () => {
    const { mesh, one, upstream, urls } = await start({ nodes: 1, expirePeriodMs: 1_000 });
    await using _ = mesh;
    await one.register(endpoint("web-1"), context);
    await mesh.registry.kill();
    await mesh.until("it has expired", 3_000, async () => (await urls(one, named("web-1")).catch(() => [])).length === 0);
    await mesh.registry.start({ empty: true });
    await mesh.until("the registry is there", 3_000, async () => (await mesh.node(1).client.info(patience)).registryReachable);
    assert.deepEqual(await urls(upstream, ofWeb), []);
  });
});

describe("a watch on the site's registry", () => {
  it("goes on when a certificate of its connection has ended, and tells what went meanwhile", async () => {
    const clock = new FakeClock();
    const of = (...names: string[]) => names.map((name) => ({ value: NetworkService.fromPartial({ name }), deleted: false }));
    let opened = 0;
    const registry: Registry<NetworkService> = {
      register: async (value) => value,
      unregister: async () => {},
      async *find(_, { watch }, { signal }) {
        if (!watch) return yield* of("b");
        opened++;
        if (opened > 1) {
          yield* of("b");
          await new Promise((resolve) => signal.addEventListener("abort", resolve));
          return;
        }
        yield* of("a", "b");
        throw new MeshError("expired", "connect again");
      },
    };
    const name = (service: NetworkService) => service.name;
    const upstream = new Upstream<NetworkService>({ registry, key: name, name, clock, log: silent });
    const stop = new AbortController();
    const seen: string[] = [];
    const reading = (async () => {
      for await (const { value, deleted } of upstream.watch(NetworkService.fromPartial({}), { signal: stop.signal }))
        seen.push(`${deleted ? "-" : "+"}${value.name}`);
    })();
    await clock.advance(1_000);
    assert.deepEqual(seen, ["+a", "+b", "-a", "+b"]);
    stop.abort();
    await reading;
  });
});
