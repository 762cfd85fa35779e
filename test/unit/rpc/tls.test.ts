import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectTcp, type Socket } from "node:net";
import { joinerWith } from "../../../identity/ca/joiner.js";
import { Identity } from "../../../identity/identity.js";
import { generateKey } from "../../../identity/keys.js";
import { systemClock } from "../../../program/clock.js";
import { authority, identified, type Wish } from "../../lib/certificates.js";
import { FakeClock } from "../../lib/fakeClock.js";
import { GivenSource, testAuthority, testIdentity } from "../../lib/identities.js";
import { until } from "../../lib/until.js";
import { clientWith, forever, listening, minute, peersOf, serverId, shake } from "./tlsWorld.js";

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
