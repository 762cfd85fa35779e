import assert from "node:assert/strict";
import { join } from "node:path";
import { silent } from "../../../core/log.js";
import { systemClock } from "../../../program/clock.js";
import { loadConfig } from "../../../program/config.js";
import { registrySettings } from "../../../registry/config.js";
import { start } from "../../../registry/start.js";
import { Peers } from "../../../rpc/client.js";
import { newFolder } from "../../lib/folder.js";
import { anybody, siteIdentity } from "../../lib/siteIdentity.js";
import { endpoint, names, reading, refused, service, serving } from "./site.js";

const parts = { clock: systemClock, log: silent };
const alice = "spiffe://paris/node-1/alice";
const context = () => ({ signal: AbortSignal.timeout(5_000) });

function config(folder: string, more: { readonly store?: "lmdb" | "memory"; readonly listenOn?: string[] } = {}) {
  const flags = {
    name: "registry-paris",
    site: "paris",
    "state-dir": join(folder, "state"),
    "admin-socket": `unix://${folder}/admin.sock`,
  };
  const argv = Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`);
  const listenOn = [`unix://${folder}/registry.sock`, "tcp://127.0.0.1:0"];
  return { ...loadConfig(registrySettings, { env: {}, argv, programName: "test" }), listenOn, ...more };
}

async function peersOf(folder: string, id: string): Promise<Peers> {
  const identity = await siteIdentity(join(folder, "state"), id);
  return new Peers({ identity, expect: anybody, log: silent, clock: systemClock, dialTimeoutMs: 2_000 });
}

describe("the registry program", () => {
  for (const given of ["public web", Array.from({ length: 257 }, (_, n) => `web-${n}`).join(",")])
    it(`refuses to export ${given.slice(0, 20)}…, which could be in no policy`, () => {
      const load = () => loadConfig(registrySettings, { env: { NSM_EXPORT: given }, argv: [], programName: "test" });
      assert.throws(load, /NSM_EXPORT.*is ".*"; it must be at most 256 names or patterns, without spaces/);
    });

  for (const store of ["lmdb", "memory"] as const)
    it(`serves both registries and its health on each of its URLs, from ${store}`, async () => {
      using folder = newFolder();
      await using registry = await start(config(folder.path, { store }), parts);
      await using peers = await peersOf(folder.path, alice);
      assert.equal(registry.urls.length, 2);
      for (const [at, url] of registry.urls.entries()) {
        assert.equal(await peers.health(url, AbortSignal.timeout(2_000)), true);
        assert.equal((await peers.services(url).register(service("db"), context())).payload, "IP");
        const stored = await peers.endpoints(url).register(serving(`e${at}`, "db"), context());
        assert.deepEqual([stored.pathIds[0], stored.pathIds.length], [alice, 2]);
        assert.equal(stored.pathIds[1], "spiffe://paris/registry");
        assert.deepEqual(await names(peers.endpoints(url).find(endpoint(`e${at}`), { watch: false }, context())), [`e${at}`]);
      }
    });

  it("streams a watch over the wire, and ends it when it stops", async () => {
    using folder = newFolder();
    const registry = await start(config(folder.path), parts);
    await using peers = await peersOf(folder.path, alice);
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
    await using peers = await peersOf(folder.path, alice);
    await using strangers = await peersOf(folder.path, "spiffe://paris/node-2/bob");
    const url = registry.urls[0] ?? "";
    await peers.endpoints(url).register(serving("e", "db"), context());
    const error = await strangers
      .endpoints(url)
      .register(serving("e", "db"), context())
      .catch((caught: unknown) => caught);
    assert.deepEqual({ ...(error as object) }, { code: "denied", hop: "registry-paris", name: "MeshError" });
    await refused("invalid", () => peers.endpoints(url).register(endpoint(""), context()), /has no name/);
    await refused("not-found", () => names(peers.endpoints(url).find(endpoint("e@tokyo"), { watch: false }, context())));
  });

  it("gives its folder back when it cannot listen", async () => {
    using folder = newFolder();
    const taken = config(folder.path, { listenOn: ["tcp://127.0.0.1:0"] });
    await assert.rejects(start({ ...taken, listenOn: ["nonsense"] }, parts));
    await using registry = await start(taken, parts);
    assert.equal(registry.urls.length, 1);
  });
});
