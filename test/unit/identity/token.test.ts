import assert from "node:assert/strict";
import { jwtVerify } from "jose";
import { Signer } from "../../../identity/token.js";
import { authority, identified } from "../../lib/certificates.js";
import { FakeClock } from "../../lib/fakeClock.js";

const subject = "spiffe://paris/node/paris-1/nsmgr";

async function setup(lifetimeMs = 600_000, svidMs = 3_600_000, claims = {}) {
  const clock = new FakeClock(1_700_000_000_400);
  const { svid } = await identified(await authority(clock.now()), subject, clock.now(), svidMs);
  const signer = new Signer({ lifetimeMs, clock, claims });
  const key = (svid.chain[0] ?? assert.fail()).publicKey;
  const verified = (token: string) => jwtVerify(token, key, { currentDate: new Date(clock.now()) });
  return { clock, svid, signer, tokens: signer.by(svid), verified };
}

describe("tokens", () => {
  it("are what NSM's checks want: ES256, the subject, an expiry, and no audience unless there is one", async () => {
    const { svid, tokens, verified } = await setup();
    const { token, expires } = await tokens();
    const { payload, protectedHeader } = await verified(token);
    assert.deepEqual(payload, { sub: subject, exp: 1_700_000_600 });
    assert.deepEqual(protectedHeader, { alg: "ES256", typ: "JWT", x5c: svid.chain.map(({ raw }) => raw.toString("base64")) });
    assert.equal(expires, 1_700_000_600_000);
  });

  it("name the peer they are for, and say what else is to be said", async () => {
    const { tokens, verified } = await setup(600_000, 3_600_000, { key: "K" });
    const { payload } = await verified((await tokens("spiffe://tokyo/x")).token);
    assert.deepEqual([payload.aud, payload.key], [["spiffe://tokyo/x"], "K"]);
  });

  it("are handed out again for a tenth of their life, per audience and subject", async () => {
    const { clock, svid, signer, tokens } = await setup();
    const first = await tokens();
    await clock.advance(59_999);
    assert.equal(await tokens(), first);
    assert.notEqual((await tokens("spiffe://tokyo/x")).token, first.token);
    assert.notEqual((await signer.by(svid, `${subject}/isthmus-pod/a`)()).token, first.token);
    await clock.advance(1);
    const second = await tokens();
    assert.notEqual(second, first);
    assert.equal(second.expires, first.expires + 60_000);
  });

  it("last no longer than they say, nor than the SVID that signed them", async () => {
    const { clock, tokens } = await setup(1_000);
    assert.ok((await tokens()).expires <= clock.now() + 1_000);
    const short = await setup(600_000, 30_000);
    assert.equal((await short.tokens()).expires, Math.floor(short.svid.notAfter / 1000) * 1000);
  });
});
