import assert from "node:assert/strict";
import type { Match } from "../../../api/gen/registry/registry.js";
import { sameMessage } from "../../../core/equal.js";
import { by, jwt, names, openSite, periodMs, reading, refused, registryId, type Site, service, through } from "./site.js";

const alice = "spiffe://paris/node-1/alice";
const bob = "spiffe://paris/node-2/bob";
const nsmgr = "spiffe://paris/node-1/nsmgr";

function match(app: string): Match {
  return {
    sourceSelector: { app },
    routes: [{ destinationSelector: { app: `not-${app}` }, weight: 0 }],
    fallthrough: false,
    metadata: undefined,
  };
}

describe("the registry of services", () => {
  let site: Site;
  beforeEach(async () => {
    site = await openSite();
  });
  afterEach(() => site[Symbol.asyncDispose]());

  const register = (value: Parameters<Site["services"]["register"]>[0], context = by(alice)) => site.services.register(value, context);
  const find = (query: Parameters<Site["services"]["find"]>[0]) => names(site.services.find(query, { watch: false }, by(bob)));

  it("takes IP for a payload that is left out", async () => {
    assert.equal((await register(service("db"))).payload, "IP");
    assert.equal((await register(service("lan", { payload: "ETHERNET" }))).payload, "ETHERNET");
  });

  it("gives back who registered it, and the path with both tokens", async () => {
    const returned: unknown[] = [];
    const stored = await register(service("db"), { ...through(alice, nsmgr), returnPath: (path) => void returned.push(path) });
    assert.deepEqual(stored.pathIds, [alice, nsmgr, registryId]);
    assert.deepEqual(returned, [{ index: 1, tokens: [jwt(alice), jwt(nsmgr), jwt(registryId)] }]);
  });

  it("finds by name, by payload, or all", async () => {
    await register(service("db"));
    await register(service("lan", { payload: "ETHERNET" }));
    assert.deepEqual(await find(service("")), ["db", "lan"]);
    assert.deepEqual(await find(service("db")), ["db"]);
    assert.deepEqual(await find(service("none")), []);
    assert.deepEqual(await find(service("", { payload: "ETHERNET" })), ["lan"]);
    assert.deepEqual(await find(service("lan", { payload: "IP" })), []);
  });

  it("keeps a service for as long as nobody unregisters it", async () => {
    await register(service("db"));
    await site.clock.advance(100 * periodMs);
    assert.deepEqual(await find(service("db")), ["db"]);
    assert.equal(site.clock.pending, 0);
  });

  it("lets the owner change it, and tells who watches", async () => {
    await register(service("db"));
    const watch = reading(site.services.find(service("db"), { watch: true }, by(bob)));
    assert.equal(await watch.next(), "+db");
    const changed = await register(service("db", { matches: [match("web")] }));
    assert.ok(sameMessage(changed.matches, [match("web")]));
    assert.equal(await watch.next(), "+db");
    await site.services.unregister(service("db"), by(alice));
    assert.equal(await watch.next(), "-db");
  });

  it("writes nothing when nothing changes", async () => {
    await register(service("db"));
    const { revision } = await site.store.list("");
    await register(service("db"));
    await register(service("db"), by(bob));
    assert.equal((await site.store.list("")).revision, revision);
  });

  it("lets others announce the service that they serve, and keeps the owner's rules", async () => {
    await register(service("db", { matches: [match("web")] }));
    const announced = await register(service("db"), by(bob));
    assert.deepEqual(announced.pathIds, [alice, registryId]);
    assert.equal(announced.matches.length, 1);
    await register(service("db", { matches: [match("web")] }), by(bob));
  });

  it("refuses others another payload or other rules, and says whose it is", async () => {
    await register(service("db", { matches: [match("web")] }));
    await refused("denied", () => register(service("db", { payload: "ETHERNET" }), by(bob)), /payload IP by .*alice, not ETHERNET/);
    await refused("denied", () => register(service("db", { matches: [match("mail")] }), by(bob)), /belongs to .*alice/);
    await refused("denied", () => site.services.unregister(service("db"), by(bob)), /belongs to .*alice/);
    assert.deepEqual(await find(service("db")), ["db"]);
  });

  it("unregisters what is not there with success", () => site.services.unregister(service("none"), by(alice)));

  it("lets anybody have a name that was given back", async () => {
    await register(service("db"));
    await site.services.unregister(service("db"), by(alice));
    assert.deepEqual((await register(service("db", { payload: "ETHERNET" }), by(bob))).pathIds, [bob, registryId]);
  });

  it("refuses a service without a name, of a payload that does not exist, or of another site", async () => {
    await refused("invalid", () => register(service("")), /has no name/);
    await refused("invalid", () => register(service("db", { payload: "FRAMES" })), /must be IP or ETHERNET, got FRAMES/);
    await refused("unsupported", () => register(service("db@tokyo")), /names the site tokyo/);
    await refused("unsupported", () => find(service("db@tokyo")), /leave out the site: db/);
  });

  it("counts what it has", async () => {
    await register(service("db"));
    assert.deepEqual(site.counts(), { networkServices: 1, endpoints: 0 });
  });
});
