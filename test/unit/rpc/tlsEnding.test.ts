import assert from "node:assert/strict";
import { Client, credentials, status } from "@grpc/grpc-js";
import { ConnectionEvent, MonitorScopeSelector } from "../../../api/gen/connection/connection.js";
import { silent } from "../../../core/log.js";
import { Identity } from "../../../identity/identity.js";
import type { Identified } from "../../../identity/source.js";
import { systemClock } from "../../../program/clock.js";
import { Peers } from "../../../rpc/client.js";
import type { Services } from "../../../rpc/services.js";
import { authority, identified } from "../../lib/certificates.js";
import { FakeClock } from "../../lib/fakeClock.js";
import { GivenSource, testAuthority } from "../../lib/identities.js";
import { until } from "../../lib/until.js";
import { anybody, forever, listening, minute, peersOf, serverId } from "./tlsWorld.js";

describe("an identity that changes", () => {
  it("is shown by new connections, while streams go on over the old one, and tokens fit the connection they go by", async () => {
    const clock = new FakeClock(Date.now());
    const ca = await testAuthority();
    const give = (id: string): Promise<Identified> => identified(ca, id, clock.now(), 60_000);
    const [here, there] = [new GivenSource(await give("spiffe://test/client")), new GivenSource(await give(serverId))];
    const own = new Identity({ source: here, clock, tokenLifetimeMs: minute });
    const keys = new Set<string>();
    let tell: () => void = () => {};
    const services: Services = {
      monitor: {
        async *watch() {
          yield ConnectionEvent.fromPartial({});
          await new Promise<void>((resolve) => {
            tell = resolve;
          });
          yield ConnectionEvent.fromPartial({});
        },
      },
      networkService: {
        request: async ({ connection, link, caller }) => {
          assert.equal(link?.peer.id, "spiffe://test/client");
          keys.add(link?.peer.publicKey.export({ format: "der", type: "spki" }).toString("hex") ?? "");
          assert.ok(caller);
          return connection;
        },
        close: async () => {},
      },
    };
    await using server = await listening(services, new Identity({ source: there, clock, tokenLifetimeMs: minute }));
    await using peers = new Peers({ identity: own, expect: () => anybody, log: silent, clock, dialTimeoutMs: 2_000 });
    const ask = () =>
      peers.networkService().request({ connection: { ...emptyConnection, id: "a" }, preferences: [], signal: forever, target: server.url });
    const stream = peers.monitor(server.url, MonitorScopeSelector.fromPartial({}), forever)[Symbol.asyncIterator]();
    await stream.next();
    await ask();
    await ask();
    assert.equal(keys.size, 1);
    here.set(await give("spiffe://test/client"));
    await ask();
    assert.equal(keys.size, 2, "a new connection shows the new SVID");
    there.set(await give(serverId));
    await clock.advance(31_000);
    here.set(await give("spiffe://test/client"));
    await ask();
    assert.equal(keys.size, 3);
    tell();
    assert.equal((await stream.next()).done, false, "the first stream is still there");
    await stream.return?.();
  });
});

/** A monitor that says one event to each who asks and then nothing, and how many it tells. */
function quiet() {
  const told = { opened: 0, open: 0 };
  const services: Services = {
    monitor: {
      async *watch(_, signal) {
        told.opened++;
        told.open++;
        try {
          yield ConnectionEvent.fromPartial({ connections: { c: { id: String(told.opened) } } });
          await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
        } finally {
          told.open--;
        }
      },
    },
    services: {
      register: (service) => Promise.resolve(service),
      unregister: async () => {},
      async *find(_, __, { signal }) {
        yield { value: { name: "a", payload: "", matches: [], pathIds: [] }, deleted: false };
        await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      },
    },
  };
  return { told, services };
}

const anyService = { name: "", payload: "", matches: [], pathIds: [] };

describe("a stream", () => {
  it("ends when a certificate of its connection does; a monitor's reader is told all again over a new one", async () => {
    const clock = new FakeClock(Date.now());
    const ca = await testAuthority();
    const give = (id: string) => identified(ca, id, clock.now(), 60_000);
    const [here, there] = [new GivenSource(await give("spiffe://test/client")), new GivenSource(await give(serverId))];
    const { told, services } = quiet();
    await using server = await listening(services, new Identity({ source: there, clock, tokenLifetimeMs: minute }));
    const own = new Identity({ source: here, clock, tokenLifetimeMs: minute });
    await using peers = new Peers({ identity: own, expect: () => anybody, log: silent, clock, dialTimeoutMs: 2_000 });
    const stop = new AbortController();
    const events = peers.monitor(server.url, MonitorScopeSelector.fromPartial({}), stop.signal)[Symbol.asyncIterator]();
    const found = peers.services(server.url).find(anyService, { watch: true }, { signal: stop.signal })[Symbol.asyncIterator]();
    await Promise.all([events.next(), found.next()]);
    await clock.advance(40_000);
    here.set(await give("spiffe://test/client"));
    there.set(await give(serverId));
    assert.deepEqual(told, { opened: 1, open: 1 });
    const ended = assert.rejects(found.next(), { code: "expired", message: /has expired; connect again/ });
    await clock.advance(20_001);
    await ended;
    const { value } = await events.next();
    assert.equal(value?.connections.c?.id, "2");
    assert.deepEqual(told, { opened: 2, open: 1 });
    stop.abort();
    await events.next();
  });

  it("of one who does not renew its certificate ends for good", async () => {
    const clock = new FakeClock(Date.now());
    const ca = await testAuthority();
    const { told, services } = quiet();
    const there = await identified(ca, serverId, clock.now());
    await using server = await listening(services, new Identity({ source: new GivenSource(there), clock, tokenLifetimeMs: minute }));
    // Its own clock stands: it holds on to what it has.
    const stolen = await identified(ca, "spiffe://test/client", clock.now(), 60_000);
    const own = new Identity({ source: new GivenSource(stolen), clock: new FakeClock(Date.now()), tokenLifetimeMs: minute });
    await using peers = peersOf(own);
    const events = peers.monitor(server.url, MonitorScopeSelector.fromPartial({}), forever)[Symbol.asyncIterator]();
    await events.next();
    await clock.advance(60_001);
    await assert.rejects(events.next(), { code: "expired" });
    assert.equal(told.open, 0);
    const again = peers.monitor(server.url, MonitorScopeSelector.fromPartial({}), forever)[Symbol.asyncIterator]();
    await assert.rejects(again.next(), { code: "unreachable" });
  });
});

describe("a trust domain that is not trusted any more", () => {
  const tokyoId = "spiffe://tokyo/node/one/nsmgr";

  /** A server of the domain test and a client of tokyo, which trust each other. */
  async function joined() {
    const now = Date.now();
    const [test, tokyo] = await Promise.all([
      identified(await authority(now), serverId, now),
      identified(await authority(now), tokyoId, now),
    ]);
    const bundles = new Map([...test.bundles, ...tokyo.bundles]);
    const [here, there] = [new GivenSource({ svid: tokyo.svid, bundles }), new GivenSource({ svid: test.svid, bundles })];
    const { told, services } = quiet();
    const server = await listening(services, new Identity({ source: there, clock: systemClock, tokenLifetimeMs: minute }));
    const peers = peersOf(new Identity({ source: here, clock: systemClock, tokenLifetimeMs: minute }));
    const events = peers.monitor(server.url, MonitorScopeSelector.fromPartial({}), forever)[Symbol.asyncIterator]();
    await events.next();
    return {
      ...{ test, tokyo, here, there, told, server, events },
      ask: () => peers.services(server.url).register(anyService, { signal: forever }),
      async [Symbol.asyncDispose]() {
        await peers[Symbol.asyncDispose]();
        await server[Symbol.asyncDispose]();
      },
    };
  }

  it("has its connections cut, streams and all, and cannot connect again", async () => {
    await using world = await joined();
    const { there, test, told, server } = world;
    await world.ask();
    there.set(test);
    await assert.rejects(world.events.next(), { code: "unreachable" });
    await until("the stream's source is let go", 1_000, () => told.open === 0);
    await assert.rejects(world.ask(), { code: "unreachable", message: /hung up when it saw who we are/ });
    assert.match(
      server.reasons.join(),
      /who signed for it is not trusted any more.*is of the trust domain tokyo, which is not trusted here/,
    );
  });

  it("is not spoken to any more over connections that are there", async () => {
    await using world = await joined();
    const { here, tokyo } = world;
    await world.ask();
    here.set(tokyo);
    await assert.rejects(world.events.next(), { code: "unreachable" });
    await assert.rejects(world.ask(), { code: "denied", message: /is of the trust domain test, which is not trusted here/ });
  });

  it("is another one than that whose own identity is renewed, or which has one authority more", async () => {
    await using world = await joined();
    const { here, there, test, tokyo, told } = world;
    const more = (await authority(Date.now())).certificate;
    const bundles = new Map([...here.bundles].map(([domain, authorities]) => [domain, [more, ...authorities]]));
    here.set({ svid: tokyo.svid, bundles });
    there.set({ svid: test.svid, bundles });
    await world.ask();
    assert.deepEqual(told, { opened: 1, open: 1 });
  });
});

describe("a connection that is older than its certificates", () => {
  it("is ended at the next call, and the client connects again", async () => {
    const clock = new FakeClock(Date.now());
    const ca = await testAuthority();
    const there = new GivenSource(await identified(ca, serverId, clock.now(), 60_000));
    await using server = await listening({}, new Identity({ source: there, clock, tokenLifetimeMs: minute }));
    // A client that knows nothing of our ways: its channel is its own, and its clock stands.
    const { svid } = await identified(ca, "spiffe://test/client", Date.now());
    const pem = { key: svid.privateKey.export({ format: "pem", type: "pkcs8" }) as string, cert: svid.chain.join("") };
    const ssl = credentials.createSsl(null, Buffer.from(pem.key), Buffer.from(pem.cert), { rejectUnauthorized: false });
    const client = new Client(`127.0.0.1:${server.port}`, ssl);
    const ask = () =>
      new Promise<number>((resolve) => {
        const bytes = (message: Buffer) => message;
        client.makeUnaryRequest("/grpc.health.v1.Health/Check", bytes, bytes, Buffer.alloc(0), (error) => resolve(error?.code ?? 0));
      });
    assert.equal(await ask(), 0);
    await clock.advance(60_001);
    there.set(await identified(ca, serverId, clock.now(), 60_000));
    assert.equal(await ask(), status.UNAVAILABLE);
    await until("it has connected again", 2_000, async () => (await ask()) === 0);
    client.close();
  });
});

const emptyConnection = {
  ...{ id: "", networkService: "", mechanism: undefined, context: undefined, labels: {}, path: undefined },
  ...{ networkServiceEndpointName: "", payload: "", state: 0 as const },
};
