import assert from "node:assert/strict";
import { sameMessage } from "../../../core/equal.js";
import { fromTimestamp } from "../../../core/timestamp.js";
import { endpointKind } from "../../../registry/kind.js";
import {
  at,
  by,
  endpoint,
  jwt,
  names,
  openSite,
  periodMs,
  reading,
  refused,
  registryId,
  type Site,
  serving,
  through,
  token,
} from "./site.js";

const alice = "spiffe://paris/node-1/alice";
const bob = "spiffe://paris/node-2/bob";
const nsmgr = "spiffe://paris/node-1/nsmgr";

describe("the registry of endpoints", () => {
  let site: Site;
  beforeEach(async () => {
    site = await openSite();
  });
  afterEach(() => site[Symbol.asyncDispose]());

  const now = () => site.clock.now();
  const register = (value: Parameters<Site["endpoints"]["register"]>[0], context = by(alice)) => site.endpoints.register(value, context);
  const find = (query: Parameters<Site["endpoints"]["find"]>[0]) => names(site.endpoints.find(query, { watch: false }, by(bob)));
  const expires = async (more: Parameters<typeof endpoint>[1], context = by(alice)) =>
    fromTimestamp((await register(endpoint("e", more), context)).expirationTime ?? { seconds: 0, nanos: 0 }) - now();

  describe("beside records that are not its own", () => {
    const junk = (value: string, key = "endpoints/junk") => site.store.commit({ writes: [{ op: "put", key, value: Buffer.from(value) }] });
    const sentence = /^what the store has under endpoints\/junk is no endpoint that this registry can read; remove it there$/;

    it("finds all others, and no more what such a record took the place of", async () => {
      await register(serving("good", "db"));
      await register(serving("junk", "db"));
      const watch = reading(site.endpoints.find(endpoint("junk"), { watch: true }, by(bob)));
      assert.equal(await watch.next(), "+junk");
      await junk("not an endpoint");
      assert.equal(await watch.next(), "-junk");
      assert.deepEqual(await find(endpoint("")), ["good"]);
    });

    it("refuses to overwrite or to remove them", async () => {
      await junk("not an endpoint");
      await refused("exists", () => register(endpoint("junk")), sentence);
      await refused("exists", () => site.endpoints.unregister(endpoint("junk"), by(alice)), sentence);
      await junk(Buffer.from(endpointKind.encode(endpoint("another"))).toString());
      await refused("exists", () => register(endpoint("junk")), sentence);
    });
  });

  describe("finds", () => {
    beforeEach(async () => {
      await register(serving("red-1", "db", { colour: "red", size: "l" }));
      await register(serving("red-2", "db", { colour: "red" }));
      await register(serving("blue", "db", { colour: "blue" }));
      await register(serving("other", "cache", { colour: "red" }));
    });
    const labelled = (service: string, labels: Record<string, string>) => endpoint("", { networkServiceLabels: { [service]: { labels } } });

    it("all of them for a query that asks for nothing", async () => {
      assert.deepEqual(await find(endpoint("")), ["blue", "other", "red-1", "red-2"]);
    });
    it("by name", async () => {
      assert.deepEqual(await find(endpoint("blue")), ["blue"]);
      assert.deepEqual(await find(endpoint("blu")), []);
    });
    it("by service", async () => {
      assert.deepEqual(await find(endpoint("", { networkServiceNames: ["db"] })), ["blue", "red-1", "red-2"]);
      assert.deepEqual(await find(endpoint("", { networkServiceNames: ["db", "cache"] })), []);
    });
    it("by label", async () => {
      assert.deepEqual(await find(labelled("db", { colour: "red" })), ["red-1", "red-2"]);
      assert.deepEqual(await find(labelled("db", { colour: "red", size: "l" })), ["red-1"]);
      assert.deepEqual(await find(labelled("cache", { colour: "blue" })), []);
    });
    it("by a part of the URL", async () => {
      await register(endpoint("far", { url: "tcp://10.9.9.9:5001" }));
      assert.deepEqual(await find(endpoint("", { url: "10.9.9.9" })), ["far"]);
    });
  });

  describe("registers", () => {
    it("and gives back what it keeps: who, since when, until when", async () => {
      const stored = await register(serving("e", "db"), through(alice, nsmgr));
      assert.deepEqual(stored.pathIds, [alice, nsmgr, registryId]);
      assert.deepEqual(stored.initialRegistrationTime, at(now()));
      assert.deepEqual(stored.expirationTime, at(now() + periodMs));
      for await (const { value } of site.endpoints.find(endpoint("e"), { watch: false }, by(bob))) assert.ok(sameMessage(value, stored));
    });

    it("so that a find right after it knows", async () => {
      for (let count = 0; count < 20; count++) {
        await register(serving(`e${count}`, "db"));
        assert.deepEqual(await find(endpoint(`e${count}`)), [`e${count}`]);
      }
    });

    it("the path back with both tokens, its index as it came", async () => {
      const returned: unknown[] = [];
      await register(serving("e", "db"), { ...through(alice, nsmgr), returnPath: (path) => void returned.push(path) });
      assert.deepEqual(returned, [{ index: 1, tokens: [jwt(alice), jwt(nsmgr), jwt(registryId)] }]);
    });

    it("the same name of the same owner anew: its place changes, its birthday stays", async () => {
      const first = await register(serving("e", "db", { colour: "red" }));
      await site.clock.advance(5_000);
      const second = await register(serving("e", "cache"));
      assert.ok(sameMessage(second.initialRegistrationTime, first.initialRegistrationTime));
      assert.deepEqual(await find(endpoint("", { networkServiceNames: ["db"] })), []);
      assert.deepEqual(await find(endpoint("", { networkServiceNames: ["cache"] })), ["e"]);
    });

    it("a birthday that the endpoint brings along, unless it is in the future", async () => {
      assert.deepEqual((await register(endpoint("a", { initialRegistrationTime: at(1_000) }))).initialRegistrationTime, at(1_000));
      const future = await register(endpoint("b", { initialRegistrationTime: at(now() + 9_000) }));
      assert.deepEqual(future.initialRegistrationTime, at(now()));
    });

    it("for a nsmgr that looks after its client, without becoming the owner", async () => {
      await register(serving("e", "db"), through(alice, nsmgr));
      const renewed = await register(serving("e", "db"), by(nsmgr));
      assert.deepEqual(renewed.pathIds, [alice, nsmgr, registryId]);
      await register(serving("e", "db"), through(alice, nsmgr));
    });

    it("fields that it does not know", async () => {
      const unknown = { [(99 << 3) | 2]: [Uint8Array.from([1, 7])] };
      await register(endpoint("e", { _unknownFields: unknown }));
      for await (const { value } of site.endpoints.find(endpoint("e"), { watch: false }, by(bob)))
        assert.deepEqual(Object.keys(value._unknownFields ?? {}), Object.keys(unknown));
    });

    it("whatever many send at once: the last one stays, nothing is lost", async () => {
      await Promise.all(Array.from({ length: 30 }, (_, count) => register(serving(`e${count % 3}`, "db", { count: `${count}` }))));
      assert.deepEqual(await find(endpoint("")), ["e0", "e1", "e2"]);
    });
  });

  describe("lets an endpoint live", () => {
    it("for the period, when nothing is shorter", async () => assert.equal(await expires({}), periodMs));
    it("as long as it wishes, when that is shorter", async () => assert.equal(await expires({ expirationTime: at(now() + 5_000) }), 5_000));
    it("not longer than the period, whatever it wishes", async () =>
      assert.equal(await expires({ expirationTime: at(now() + 3_600_000) }), periodMs));
    it("not longer than the caller's token", async () =>
      assert.equal(await expires({}, by(alice, { caller: token(alice, now() + 7_000) })), 7_000));

    it("until its time is over, then tells who watches", async () => {
      const watch = reading(site.endpoints.find(endpoint(""), { watch: true }, by(bob)));
      await register(serving("dies", "db"));
      await register(serving("lives", "db"));
      assert.deepEqual([await watch.next(), await watch.next()], ["+dies", "+lives"]);
      await site.clock.advance(periodMs - 1_000);
      await register(serving("lives", "db"));
      assert.equal(await watch.next(), "+lives");
      assert.deepEqual(await find(endpoint("")), ["dies", "lives"]);
      await site.clock.advance(1_100);
      assert.equal(await watch.next(), "-dies");
      assert.deepEqual(await find(endpoint("")), ["lives"]);
    });

    it("again, under its name and for another owner, after it has gone", async () => {
      await register(serving("e", "db"));
      await site.clock.advance(periodMs + 100);
      assert.deepEqual((await register(serving("e", "db"), by(bob))).pathIds, [bob, registryId]);
    });

    it("and leaves no timer behind when all have gone", async () => {
      for (let count = 0; count < 50; count++) await register(serving(`e${count % 5}`, "db"));
      await site.clock.advance(periodMs + 200);
      assert.deepEqual(await find(endpoint("")), []);
      assert.equal(site.clock.pending, 0);
    });
  });

  describe("unregisters", () => {
    it("by name alone, and tells who watches", async () => {
      await register(serving("e", "db"));
      const watch = reading(site.endpoints.find(endpoint("", { networkServiceNames: ["db"] }), { watch: true }, by(bob)));
      assert.equal(await watch.next(), "+e");
      await site.endpoints.unregister(endpoint("e"), by(alice));
      assert.equal(await watch.next(), "-e");
      assert.deepEqual(await find(endpoint("")), []);
    });

    it("what is not there, with success", () => site.endpoints.unregister(endpoint("none"), by(alice)));

    it("for a hop on the way, not for another's", async () => {
      await register(serving("e", "db"), through(alice, nsmgr));
      await refused("denied", () => site.endpoints.unregister(endpoint("e"), by(bob)), /belongs to .*alice; .*bob may not/);
      await site.endpoints.unregister(endpoint("e"), by(nsmgr));
    });

    it("and later lets the old lease take nothing along", async () => {
      await register(serving("e", "db"));
      await site.endpoints.unregister(endpoint("e"), by(alice));
      await site.clock.advance(30_000);
      await register(serving("e", "db"), by(bob));
      await site.clock.advance(periodMs - 20_000);
      assert.deepEqual(await find(endpoint("e")), ["e"]);
    });
  });

  describe("watches", () => {
    it("give the renewed time of an endpoint", async () => {
      await register(serving("e", "db"));
      const watch = reading(site.endpoints.find(endpoint("e"), { watch: true }, by(bob)));
      assert.equal(await watch.next(), "+e");
      await register(serving("e", "db"));
      assert.equal(await watch.next(), "+e");
    });

    it("see an endpoint leave that serves something else now", async () => {
      await register(serving("e", "db"));
      const watch = reading(site.endpoints.find(endpoint("", { networkServiceNames: ["db"] }), { watch: true }, by(bob)));
      assert.equal(await watch.next(), "+e");
      await register(serving("e", "cache"));
      assert.equal(await watch.next(), "-e");
    });

    it("end without an error with their signal", async () => {
      const stop = new AbortController();
      const watch = reading(site.endpoints.find(endpoint(""), { watch: true }, by(bob, { signal: stop.signal })));
      const next = watch.next();
      stop.abort();
      assert.equal(await next, "end");
    });

    it("never hold up a registration, however slow they are", async () => {
      const slow = reading(site.endpoints.find(endpoint(""), { watch: true }, by(bob)));
      await register(serving("first", "db"));
      assert.equal(await slow.next(), "+first");
      for (let count = 0; count < 100; count++) await register(serving("busy", "db", { count: `${count}` }));
      await register(serving("last", "db"));
      assert.deepEqual([await slow.next(), await slow.next()], ["+busy", "+last"]);
    });
  });

  describe("refuses", () => {
    it("another's name", async () => {
      await register(serving("e", "db"));
      await refused("denied", () => register(serving("e", "db"), by(bob)), /the endpoint e belongs to .*alice; .*bob may not change it/);
      await refused("denied", () => register(serving("e", "db"), { signal: AbortSignal.timeout(1_000) }), /a caller without a token/);
    });
    it("an endpoint without a name, or with a service without one", async () => {
      await refused("invalid", () => register(endpoint("")), /has no name/);
      await refused("invalid", () => register(serving("e", "")), /has no name/);
      await refused("invalid", () => site.endpoints.unregister(endpoint(""), by(alice)), /has no name/);
    });
    it("a time that is over", () =>
      refused("invalid", () => register(endpoint("e", { expirationTime: at(now() - 1) })), /over by this registry's clock/));
    it("a URL that is none", () =>
      refused("invalid", () => register(endpoint("e", { url: "10.0.0.1:5001" })), /tcp:\/\/host:port .* got 10.0.0.1:5001/));
    it("more labels than it indexes", async () => {
      const labels = Object.fromEntries(Array.from({ length: 1_025 }, (_, count) => [`k${count}`, "v"]));
      await refused("invalid", () => register(serving("e", "db", labels)), /1025 labels, allowed are 1024/);
    });
    it("names of other sites, while it is joined with none", async () => {
      await refused("unsupported", () => register(endpoint("e@tokyo")), /names the site tokyo/);
      await refused("unsupported", () => register(serving("e", "db@tokyo")), /leave out the site: db/);
      await refused("unsupported", () => find(endpoint("", { networkServiceNames: ["db@tokyo"] })));
      await refused("unsupported", () => site.endpoints.unregister(endpoint("e@tokyo"), by(alice)));
    });
    it("to call a list whole that was cut short", async () => {
      await register(serving("e", "db"));
      await refused("cancelled", () =>
        names(site.endpoints.find(endpoint(""), { watch: false }, by(bob, { signal: AbortSignal.abort() }))),
      );
    });
  });
});
