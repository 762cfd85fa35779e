import assert from "node:assert/strict";
import { join } from "node:path";
import { silent } from "../../../core/log.js";
import { systemClock } from "../../../program/clock.js";
import { start } from "../../../registry/start.js";
import { Peers } from "../../../rpc/client.js";
import { newFolder } from "../../lib/folder.js";
import { endpoint, names, reading, refused, service, serving, token } from "./site.js";

const parts = { clock: systemClock, log: silent };
const alice = "spiffe://paris/node-1/alice";
const context = () => ({ signal: AbortSignal.timeout(5_000) });

function config(folder: string, more: { readonly store?: "lmdb" | "memory"; readonly listenOn?: string[] } = {}) {
  const listenOn = [`unix://${folder}/registry.sock`, "tcp://127.0.0.1:0"];
  const etcd = { etcdEndpoints: [], etcdPrefix: "", etcdCa: "", etcdCert: "", etcdKey: "" };
  const lives = { maxTokenLifetime: 600_000, expirePeriod: 60_000 };
  return {
    name: "registry-paris",
    site: "paris",
    listenOn,
    store: "lmdb" as const,
    stateDir: join(folder, "state"),
    logLevel: "INFO" as const,
    ...etcd,
    ...lives,
    ...more,
  };
}

function peersOf(sub: string): Peers {
  return new Peers({ tokens: async () => token(sub, systemClock.now() + 600_000), log: silent, clock: systemClock, dialTimeoutMs: 2_000 });
}

describe("the registry program", () => {
  for (const store of ["lmdb", "memory"] as const)
    it(`serves both registries and its health on each of its URLs, from ${store}`, async () => {
      using folder = newFolder();
      await using registry = await start(config(folder.path, { store }), parts);
      await using peers = peersOf(alice);
      assert.equal(registry.urls.length, 2);
      for (const [at, url] of registry.urls.entries()) {
        assert.equal(await peers.health(url, AbortSignal.timeout(2_000)), true);
        assert.equal((await peers.services(url).register(service("db"), context())).payload, "IP");
        const stored = await peers.endpoints(url).register(serving(`e${at}`, "db"), context());
        assert.deepEqual([stored.pathIds[0], stored.pathIds.length], [alice, 2]);
        assert.match(stored.pathIds[1] ?? "", /^spiffe:\/\/paris\/.+\/registry$/);
        assert.deepEqual(await names(peers.endpoints(url).find(endpoint(`e${at}`), { watch: false }, context())), [`e${at}`]);
      }
    });

  it("streams a watch over the wire, and ends it when it stops", async () => {
    using folder = newFolder();
    const registry = await start(config(folder.path), parts);
    await using peers = peersOf(alice);
    const url = registry.urls[0] ?? "";
    const watch = reading(peers.endpoints(url).find(endpoint(""), { watch: true }, context()));
    await peers.endpoints(url).register(serving("e", "db"), context());
    assert.equal(await watch.next(), "+e");
    await peers.endpoints(url).unregister(endpoint("e"), context());
    assert.equal(await watch.next(), "-e");
    const last = refused("unreachable", () => watch.next());
    await registry[Symbol.asyncDispose]();
    await last;
  });

  it("tells a caller over the wire what was wrong, and at which hop", async () => {
    using folder = newFolder();
    await using registry = await start(config(folder.path), parts);
    await using peers = peersOf(alice);
    await using strangers = peersOf("spiffe://paris/node-2/bob");
    const url = registry.urls[0] ?? "";
    await peers.endpoints(url).register(serving("e", "db"), context());
    const error = await strangers
      .endpoints(url)
      .register(serving("e", "db"), context())
      .catch((caught: unknown) => caught);
    assert.deepEqual({ ...(error as object) }, { code: "denied", hop: "registry-paris", name: "MeshError" });
    await refused("invalid", () => peers.endpoints(url).register(endpoint(""), context()), /has no name/);
    await refused("unsupported", () => names(peers.endpoints(url).find(endpoint("e@tokyo"), { watch: false }, context())));
  });

  it("gives its folder back when it cannot listen", async () => {
    using folder = newFolder();
    const taken = config(folder.path, { listenOn: ["tcp://127.0.0.1:0"] });
    await assert.rejects(start({ ...taken, listenOn: ["nonsense"] }, parts));
    await using registry = await start(taken, parts);
    assert.equal(registry.urls.length, 1);
  });
});
