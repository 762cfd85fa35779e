import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectTcp, type Socket } from "node:net";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { Client, credentials, status } from "@grpc/grpc-js";
import { ConnectionEvent, MonitorScopeSelector } from "../../../api/gen/connection/connection.js";
import { type Log, silent } from "../../../core/log.js";
import { joinerWith } from "../../../identity/ca/joiner.js";
import type { Expected } from "../../../identity/expected.js";
import { Identity, type Showing } from "../../../identity/identity.js";
import { generateKey } from "../../../identity/keys.js";
import type { Identified } from "../../../identity/source.js";
import { systemClock } from "../../../program/clock.js";
import { Peers } from "../../../rpc/client.js";
import { serve } from "../../../rpc/server.js";
import type { Services } from "../../../rpc/services.js";
import { authority, certificate, identified, type Made, type Wish } from "../../lib/certificates.js";
import { FakeClock } from "../../lib/fakeClock.js";
import { GivenSource, testAuthority, testIdentity } from "../../lib/identities.js";
import { until } from "../../lib/until.js";

const serverId = "spiffe://test/node/one/nsmgr";
const forever = new AbortController().signal;
const minute = 60_000;
const anybody: Expected = { matches: () => true, what: "anybody" };

/** A log whose sentences can be read. */
function heard(): { readonly log: Log; readonly reasons: string[] } {
  const reasons: string[] = [];
  return { reasons, log: { ...silent, info: (_event, fields) => void (fields?.reason && reasons.push(String(fields.reason))) } };
}

async function listening(services: Services = {}, identity?: Identity) {
  const { log, reasons } = heard();
  const own = identity ?? (await testIdentity(serverId, systemClock));
  const server = await serve({ urls: ["tcp://127.0.0.1:0"], services, log, hop: "h", identity: own, limits: { graceMs: 100 } });
  const url = server.urls[0] ?? "";
  return { url, port: Number(url.split(":").at(-1)), reasons, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

/** Speaks TLS as somebody who is none of ours. */
async function shake(
  port: number,
  options: ConnectionOptions = {},
): Promise<{ readonly socket: TLSSocket; readonly ended: Promise<unknown> }> {
  const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false, ALPNProtocols: ["h2"], ...options });
  const ended = new Promise((resolve) => {
    socket.once("error", resolve);
    socket.once("close", () => resolve("closed"));
  });
  await Promise.race([once(socket, "secureConnect"), ended]);
  socket.resume();
  return { socket, ended };
}

async function clientWith(wish: Partial<Wish> & { readonly by?: Made }): Promise<Showing> {
  const now = Date.now();
  const made = await certificate({
    by: await testAuthority(),
    uris: ["spiffe://test/client"],
    from: now - minute,
    to: now + minute,
    ...wish,
  });
  const id = { text: "spiffe://test/client", trustDomain: "test", path: "/client" };
  const current = { id, chain: [made.certificate], privateKey: made.key, notBefore: now - minute, notAfter: now + 3_600_000 };
  const { bundles } = (await testIdentity(serverId, systemClock)).source;
  return new Identity({ source: new GivenSource({ svid: current, bundles }), clock: systemClock, tokenLifetimeMs: minute });
}

function peersOf(identity: Showing, expected = anybody): Peers {
  return new Peers({ identity, expect: () => expected, log: silent, clock: systemClock, dialTimeoutMs: 2_000 });
}

describe("a port of ours", () => {
  it("speaks TLS 1.3, and 1.2 with who cannot, and answers who shows no certificate with TLS's own alert", async () => {
    await using server = await listening();
    const { socket, ended } = await shake(server.port);
    assert.equal(socket.getProtocol(), "TLSv1.3");
    assert.match(String(await ended), /alert certificate required/);
    const { ended: older } = await shake(server.port, { maxVersion: "TLSv1.2" });
    assert.match(String(await older), /alert handshake failure/);
    await until("it is in the log", 1_000, () => server.reasons.length === 2);
    assert.deepEqual([...new Set(server.reasons)], ["it showed no certificate"]);
    const { svid } = await identified(await testAuthority(), "spiffe://test/client", Date.now());
    const pair = { key: svid.privateKey.export({ format: "pem", type: "pkcs8" }), cert: svid.chain.join("") };
    const good = await shake(server.port, { ...pair, maxVersion: "TLSv1.2" });
    assert.equal(good.socket.getProtocol(), "TLSv1.2");
    good.socket.destroy();
  });

  it("does not speak TLS 1.1, nor anything but HTTP/2, nor plain text", async () => {
    await using server = await listening();
    const { ended } = await shake(server.port, { minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" });
    assert.match(String(await ended), /alert protocol version|unsupported protocol/);
    const { svid } = await identified(await testAuthority(), "spiffe://test/client", Date.now());
    const pair = { key: svid.privateKey.export({ format: "pem", type: "pkcs8" }), cert: svid.chain.join("") };
    const { ended: old } = await shake(server.port, { ...pair, ALPNProtocols: ["http/1.1"] });
    await old;
    const plain: Socket = connectTcp({ port: server.port, host: "127.0.0.1" });
    plain.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    plain.on("error", () => {}).resume();
    await once(plain, "close");
  });

  const refusals: [string, RegExp, () => Promise<Partial<Wish>>][] = [
    [
      "of another trust domain",
      /is of the trust domain tokyo, which is not trusted here/,
      async () => ({ by: await authority(Date.now()), uris: ["spiffe://tokyo/x"] }),
    ],
    [
      "that another authority signed",
      /is signed by none of the authorities of the trust domain test/,
      async () => ({ by: await authority(Date.now()) }),
    ],
    [
      "that has expired",
      /expired at .*, \d+ s off by this machine's clock: do the clocks of both machines agree\?/,
      async () => ({ to: Date.now() - 5 * minute, from: Date.now() - 9 * minute }),
    ],
    [
      "that is not valid yet",
      /is not valid before .* do the clocks of both machines agree\?/,
      async () => ({ from: Date.now() + 5 * minute, to: Date.now() + 9 * minute }),
    ],
    ["without a SPIFFE id", /has no SPIFFE id/, async () => ({ uris: [] })],
    ["with two SPIFFE ids", /has 2 SPIFFE ids/, async () => ({ uris: ["spiffe://test/a", "spiffe://test/b"] })],
  ];
  for (const [what, sentence, wish] of refusals)
    it(`hangs up on a certificate ${what}, and says why in its log`, async () => {
      await using server = await listening();
      await using peers = peersOf(await clientWith(await wish()));
      await assert.rejects(peers.services(server.url).register({ name: "a", payload: "", matches: [], pathIds: [] }, { signal: forever }), {
        code: "unreachable",
        message: /hung up when it saw who we are/,
      });
      assert.match(server.reasons[0] ?? "", sentence);
    });
});

describe("a client of ours", () => {
  it("does not speak to a program that is not what it is supposed to be", async () => {
    await using server = await listening();
    const registry = { matches: (id: string) => id === "spiffe://test/registry", what: "a registry (spiffe://test/registry)" };
    await using peers = peersOf(await testIdentity("spiffe://test/client", systemClock), registry);
    await assert.rejects(peers.services(server.url).unregister({ name: "a", payload: "", matches: [], pathIds: [] }, { signal: forever }), {
      code: "denied",
      message: `${server.url} is ${serverId}, which is not a registry (spiffe://test/registry)`,
    });
  });

  it("does not speak to a program whose certificate is not good", async () => {
    const now = Date.now();
    const other = await identified(await authority(now), serverId, now);
    await using server = await listening({}, new Identity({ source: new GivenSource(other), clock: systemClock, tokenLifetimeMs: minute }));
    await using peers = peersOf(await testIdentity("spiffe://test/client", systemClock));
    await assert.rejects(peers.services(server.url).unregister({ name: "a", payload: "", matches: [], pathIds: [] }, { signal: forever }), {
      code: "denied",
      message: /is signed by none of the authorities/,
    });
  });
});

describe("who has no identity yet", () => {
  const joiner = () =>
    joinerWith(generateKey().privateKey, {
      name: "new",
      clock: systemClock,
      trust: () => ({ id: serverId, publicKey: generateKey().publicKey }),
    });

  it("is let in where it can join, and can do nothing else there", async () => {
    let joined = 0;
    const refuse = () => Promise.reject(new Error("no"));
    const identity = {
      join: async () => {
        joined++;
        return { chain: [], bundles: {} };
      },
      renew: refuse,
      async *followTrust() {},
    };
    await using server = await listening({ identity, services: { register: refuse, unregister: refuse, async *find() {} } });
    const { authorityClient } = await import("../../../rpc/authority.js");
    const request = { program: "nsmgr", node: "n", token: undefined };
    await assert.rejects(authorityClient(systemClock).join(server.url, joiner(), request, forever), /holds no certificate/);
    assert.equal(joined, 1);
    await using peers = peersOf(joiner());
    await assert.rejects(peers.services(server.url).register({ name: "a", payload: "", matches: [], pathIds: [] }, { signal: forever }), {
      code: "denied",
      message: /may only join here, not call \/registry.NetworkServiceRegistry\/Register/,
    });
    assert.equal(await peers.health(server.url, forever), false);
    await assert.rejects(authorityClient(systemClock).renew(server.url, joiner(), Buffer.from("k"), forever), { code: "denied" });
  });

  it("is let go after half a minute, whatever it does", async () => {
    const clock = new FakeClock(Date.now());
    const refuse = () => Promise.reject(new Error("no"));
    const services = { identity: { join: refuse, renew: refuse, async *followTrust() {} } };
    const { source } = await testIdentity(serverId, clock);
    await using server = await listening(services, new Identity({ source, clock, tokenLifetimeMs: minute }));
    const { source: shown } = joiner();
    const pair = { key: shown.current.privateKey.export({ format: "pem", type: "pkcs8" }), cert: shown.current.chain.join("") };
    const { socket, ended } = await shake(server.port, pair);
    // HTTP/2's first word of the server: it is let in.
    await once(socket, "data");
    await clock.advance(30_000);
    assert.equal(await ended, "closed");
  });

  it("is hung up on everywhere else", async () => {
    await using server = await listening();
    await using peers = peersOf(joiner());
    assert.equal(await peers.health(server.url, forever), false);
    assert.match(server.reasons[0] ?? "", /has no SPIFFE id/);
  });
});

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
