import assert from "node:assert/strict";
import { checkNextToken, checkTokens } from "../../../core/checkTokens.js";
import { decodeJwt } from "../../../core/jwt.js";
import type { Identity } from "../../../identity/identity.js";
import { generateKey } from "../../../identity/keys.js";
import { BundleProver } from "../../../identity/prover.js";
import { identified } from "../../lib/certificates.js";
import { throwsWith } from "../../lib/chainKit.js";
import { FakeClock } from "../../lib/fakeClock.js";
import { GivenSource, testAuthority, testIdentity } from "../../lib/identities.js";
import { makeToken } from "../../lib/tokenMaker.js";

const clock = new FakeClock();
const soon = clock.now() / 1000 + 600;
const nsmgr = "spiffe://test/node/one/nsmgr";
const forwarder = "spiffe://test/node/one/forwarder";
const self = "spiffe://test/node/two/nsmgr";
const pod = `${nsmgr}/isthmus-pod/client`;

/** Seen from nsmgr of node two: a pod, its nsmgr and its forwarder are before it, and the forwarder is the peer. */
describe("the tokens before a hop", () => {
  let one: Identity;
  let peer: Identity;
  let stranger: Identity;
  before(async () => {
    [one, peer, stranger] = (await Promise.all(
      [nsmgr, forwarder, "spiffe://test/node/evil/nsmgr"].map((id) => testIdentity(id, clock)),
    )) as [Identity, Identity, Identity];
  });

  const good = () => ({
    pod: makeToken({ sub: pod, aud: [nsmgr], exp: soon }, one.source.current),
    nsmgr: makeToken({ sub: nsmgr, aud: [forwarder], exp: soon }, one.source.current),
    forwarder: makeToken({ sub: forwarder, aud: [self], exp: soon }, peer.source.current),
  });
  const link = () => ({ peer: { id: forwarder, publicKey: peer.source.current.chain[0]?.publicKey ?? assert.fail() }, self });
  const check = (change: Partial<ReturnType<typeof good>> = {}, now = clock.now()) => {
    const tokens = { ...good(), ...change };
    return checkTokens(
      Object.entries(tokens).map(([name, token]) => ({ name, token })),
      link(),
      now,
      peer.prover,
    );
  };
  const refused = (words: string | RegExp, change: Partial<ReturnType<typeof good>>, now?: number) =>
    throwsWith("denied", words, () => check(change, now));

  it("are good when each was made for the next and the last is the peer's", () => {
    assert.deepEqual(
      check().map(({ subject }) => subject),
      [pod, nsmgr, forwarder],
    );
  });

  it("are refused when one is no token", () => {
    for (const token of ["", "x", "a.b.c", "e30.e30.e30"]) refused('the token of "nsmgr" is no JWT', { nsmgr: token });
    for (const exp of [-1e300, 1e300, -1])
      refused("is no JWT with a subject and an expiry", { nsmgr: makeToken({ sub: nsmgr, aud: [forwarder], exp }, one.source.current) });
  });

  it("are refused with alg none, and with any but ES256", () => {
    const claims = { sub: forwarder, aud: [self], exp: soon };
    refused('the token of "forwarder" is signed with "none"; only ES256 is taken', {
      forwarder: makeToken(claims, peer.source.current, { alg: "none" }),
    });
    refused('is signed with "HS256"', { forwarder: makeToken(claims, peer.source.current, { alg: "HS256" }) });
  });

  it("are refused when one has ended, and the sentence asks after the clocks when that is 5 minutes ago", () => {
    const at = (soon + 300) * 1000;
    refused(/the token of "pod" ended at .*, 300 s off by this machine's clock: do the clocks of both machines agree\?/, {}, at);
  });

  it("are refused when one was made for another", () => {
    const other = makeToken({ sub: forwarder, aud: ["spiffe://test/other"], exp: soon }, peer.source.current);
    refused(`(${forwarder}) was made for spiffe://test/other, and came to ${self}`, { forwarder: other });
    refused("was made for nobody", { forwarder: makeToken({ sub: forwarder, exp: soon }, peer.source.current) });
  });

  it("are refused when the chain is broken", () => {
    refused(`the token of "pod" (${pod}) was made for ${nsmgr}, and came to spiffe://test/node/evil/nsmgr`, {
      nsmgr: makeToken({ sub: "spiffe://test/node/evil/nsmgr", aud: [forwarder], exp: soon }, stranger.source.current),
    });
  });

  it("are refused when the last speaks for another than the peer, or another key has signed it", () => {
    refused(`but its connection's certificate is of ${forwarder}`, {
      nsmgr: makeToken({ sub: nsmgr, aud: [nsmgr], exp: soon }, one.source.current),
      forwarder: makeToken({ sub: nsmgr, aud: [self], exp: soon }, peer.source.current),
    });
    refused("is not signed with the key of the certificate of", {
      forwarder: makeToken({ sub: forwarder, aud: [self], exp: soon }, generateKey().privateKey),
    });
    const text = good().forwarder;
    refused("is not signed with", { forwarder: `${text.slice(0, -4)}AAAA` });
  });

  it("are refused when somebody else than its own nsmgr speaks for a pod", () => {
    const forged = makeToken({ sub: pod, aud: [nsmgr], exp: soon }, stranger.source.current);
    refused(`speaks for ${pod}, but spiffe://test/node/evil/nsmgr has signed it, who may not speak for it`, { pod: forged });
    refused("does not show who vouches for it", { pod: makeToken({ sub: pod, aud: [nsmgr], exp: soon }, generateKey().privateKey) });
  });

  it("are refused when somebody speaks for an id that only lies under his own", async () => {
    const above = await testIdentity("spiffe://test/ns/default", clock);
    const sub = "spiffe://test/ns/default/pod/nsc-1";
    refused(`speaks for ${sub}, but spiffe://test/ns/default has signed it`, {
      pod: makeToken({ sub, aud: [nsmgr], exp: soon }, above.source.current),
    });
  });

  it("are refused when one brings a certificate that did not sign it, or that nobody here trusts", async () => {
    const borrowed = one.source.current.chain.map(({ raw }) => raw.toString("base64"));
    refused("is not signed with the key of the certificate of", {
      pod: makeToken({ sub: pod, aud: [nsmgr], exp: soon }, stranger.source.current, { x5c: borrowed }),
    });
    refused("holds something that is no certificate", {
      pod: makeToken({ sub: pod, aud: [nsmgr], exp: soon }, one.source.current, { x5c: ["AAAA"] }),
    });
  });

  it("prove nothing any more when the certificate that one brings has expired, however long it says to last itself", async () => {
    const time = new FakeClock(clock.now());
    const { svid, bundles } = await identified(await testAuthority(), nsmgr, time.now(), 60_000);
    using prover = new BundleProver(new GivenSource({ svid, bundles }), time);
    const token = decodeJwt(makeToken({ sub: nsmgr, aud: [forwarder], exp: soon }, svid)) ?? assert.fail();
    assert.equal(prover.signerOf(token), nsmgr);
    await time.advance(61_000);
    throwsWith("denied", "expired at", () => prover.signerOf(token));
  });

  it("of a client of NSM, which shows no certificate, are taken on the word of the next hop", () => {
    // The second is what NSM's own deployments call it.
    for (const sub of ["spiffe://test/nsc", "spiffe://test/ns/default/pod/nsc-1"]) {
      const client = makeToken({ sub, aud: [nsmgr], exp: soon }, generateKey().privateKey);
      assert.equal(check({ pod: client })[0]?.subject, sub);
    }
  });

  it("are checked on the way back too: the next hop's is its own", () => {
    const { peer: next } = link();
    checkNextToken({ name: "forwarder", token: good().forwarder }, next, clock.now());
    throwsWith("denied", "speaks for", () => checkNextToken({ name: "x", token: good().nsmgr }, next, clock.now()));
    throwsWith("denied", "is no JWT", () => checkNextToken({ name: "x", token: "" }, next, clock.now()));
  });
});

describe("a token", () => {
  it("is read with one audience or several, and with what else it says", () => {
    const token = makeToken({ sub: "spiffe://a/b", aud: "spiffe://a/c", exp: 5, more: 1 }, generateKey().privateKey);
    const { audience, expires, claims, certificates } = decodeJwt(token) ?? assert.fail();
    assert.deepEqual([audience, expires, claims.more, certificates], [["spiffe://a/c"], 5000, 1, []]);
    assert.equal(decodeJwt(`${token}.x`), undefined);
  });
});
