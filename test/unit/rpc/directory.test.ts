import assert from "node:assert/strict";
import { NetworkService, NetworkServiceEndpoint } from "../../../api/gen/registry/registry.js";
import { silent } from "../../../core/log.js";
import { WatchedDirectory } from "../../../rpc/directory.js";
import { FakeClock } from "../../lib/fakeClock.js";
import { Shelf } from "../../lib/shelf.js";

const forever = new AbortController().signal;

function setup() {
  const clock = new FakeClock();
  const services = new Shelf<NetworkService>((query, service) => query.name === "" || query.name === service.name);
  const endpoints = new Shelf<NetworkServiceEndpoint>(
    (query, endpoint) =>
      (query.name === "" || query.name === endpoint.name) &&
      query.networkServiceNames.every((name) => endpoint.networkServiceNames.includes(name)),
  );
  const directory = new WatchedDirectory({ services, endpoints, clock, log: silent });
  return { clock, services, endpoints, directory, [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose]() };
}

function endpoint(name: string, url = "tcp://a:1", expires?: number): NetworkServiceEndpoint {
  const expirationTime = expires === undefined ? undefined : { seconds: expires / 1000, nanos: 0 };
  return NetworkServiceEndpoint.fromPartial({ name, networkServiceNames: ["icmp"], url, ...(expirationTime ? { expirationTime } : {}) });
}

const names = (found: readonly { name: string }[]) => found.map((one) => one.name).sort();

describe("WatchedDirectory", () => {
  it("answers from one watch that all lookups share", async () => {
    await using world = setup();
    await world.endpoints.register(endpoint("a"));
    const both = await Promise.all([world.directory.endpointsOf("icmp", forever), world.directory.endpointsOf("icmp", forever)]);
    assert.deepEqual(both.map(names), [["a"], ["a"]]);
    await world.endpoints.register(endpoint("b"));
    await world.endpoints.unregister(endpoint("a"));
    await world.clock.advance(0);
    assert.deepEqual(names(await world.directory.endpointsOf("icmp", forever)), ["b"]);
    assert.deepEqual([world.endpoints.watches, world.endpoints.lists], [1, 1]);
  });

  it("asks once more before it says that something is not there", async () => {
    await using world = setup();
    assert.deepEqual(await world.directory.endpointsOf("icmp", forever), []);
    assert.equal(await world.directory.service("icmp", forever), undefined);
    assert.equal(await world.directory.endpoint("a", forever), undefined);
    world.endpoints.deaf = world.services.deaf = true;
    await world.endpoints.register(endpoint("a"));
    await world.services.register(NetworkService.fromPartial({ name: "icmp", payload: "IP" }));
    assert.deepEqual(names(await world.directory.endpointsOf("icmp", forever)), ["a"]);
    assert.equal((await world.directory.service("icmp", forever))?.payload, "IP");
    assert.equal((await world.directory.endpoint("a", forever))?.name, "a");
  });

  it("finds an endpoint by name from the watch of its service once that is warm", async () => {
    await using world = setup();
    await world.endpoints.register(endpoint("a"));
    await world.directory.endpoint("a", forever);
    await world.clock.advance(0);
    const { lists } = world.endpoints;
    assert.equal((await world.directory.endpoint("a", forever))?.url, "tcp://a:1");
    assert.equal(world.endpoints.lists, lists);
  });

  it("never gives an endpoint that has expired", async () => {
    await using world = setup();
    await world.endpoints.register(endpoint("a", "tcp://a:1", world.clock.now() + 5_000));
    assert.deepEqual(names(await world.directory.endpointsOf("icmp", forever)), ["a"]);
    world.endpoints.deaf = true;
    await world.clock.advance(6_000);
    assert.deepEqual(await world.directory.endpointsOf("icmp", forever), []);
    assert.equal(await world.directory.endpoint("a", forever), undefined);
  });

  it("goes on from what it knows while the registry is away, and catches up when it is back", async () => {
    await using world = setup();
    await world.endpoints.register(endpoint("a"));
    await world.endpoints.register(endpoint("b"));
    await world.directory.endpointsOf("icmp", forever);
    world.endpoints.leave();
    await world.clock.advance(1_000);
    assert.deepEqual(names(await world.directory.endpointsOf("icmp", forever)), ["a", "b"]);
    world.endpoints.values.delete("a");
    world.endpoints.values.set("c", endpoint("c"));
    world.endpoints.away = false;
    await world.clock.advance(2_500);
    assert.deepEqual(names(await world.directory.endpointsOf("icmp", forever)), ["b", "c"]);
    assert.equal(world.endpoints.watches, 1);
  });

  it("says unreachable when the first lookup fails, and the next lookup tries again", async () => {
    await using world = setup();
    world.endpoints.away = true;
    await assert.rejects(world.directory.endpointsOf("icmp", forever), {
      code: "unreachable",
      message: "the registry cannot be asked: nothing answers at tcp://registry:5002",
    });
    world.endpoints.away = false;
    await world.endpoints.register(endpoint("a"));
    assert.deepEqual(names(await world.directory.endpointsOf("icmp", forever)), ["a"]);
  });

  it("lets a watch go a minute after its last use", async () => {
    await using world = setup();
    await world.directory.endpointsOf("icmp", forever);
    await world.clock.advance(59_000);
    await world.directory.endpointsOf("icmp", forever);
    await world.clock.advance(59_000);
    assert.equal(world.endpoints.watches, 1);
    await world.clock.advance(2_000);
    assert.deepEqual([world.endpoints.watches, world.clock.pending], [0, 0]);
  });

  it("gives up with its caller, who spoils nothing for others", async () => {
    await using world = setup();
    const caller = new AbortController();
    const lookup = world.directory.endpointsOf("icmp", caller.signal);
    caller.abort();
    await assert.rejects(lookup, { code: "cancelled" });
    await world.endpoints.register(endpoint("a"));
    assert.deepEqual(names(await world.directory.endpointsOf("icmp", forever)), ["a"]);
  });

  it("names all services, from memory while the registry is away", async () => {
    await using world = setup();
    await world.services.register(NetworkService.fromPartial({ name: "icmp" }));
    await world.services.register(NetworkService.fromPartial({ name: "dns" }));
    assert.deepEqual([...(await world.directory.serviceNames(forever))].sort(), ["dns", "icmp"]);
    await world.directory.service("icmp", forever);
    world.services.leave();
    assert.deepEqual(await world.directory.serviceNames(forever), ["icmp"]);
  });

  it("leaves no watch and no timer when it is disposed", async () => {
    const world = setup();
    await world.directory.endpointsOf("icmp", forever);
    await world.directory.service("icmp", forever);
    await world[Symbol.asyncDispose]();
    await world.clock.advance(0);
    assert.deepEqual([world.endpoints.watches, world.services.watches, world.clock.pending], [0, 0, 0]);
  });
});
