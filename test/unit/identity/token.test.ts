import assert from "node:assert/strict";
import { jwtVerify } from "jose";
import { createTokenSource, generateKey } from "../../../identity/token.js";
import { FakeClock } from "../../lib/fakeClock.js";

const subject = "spiffe://paris/node-1/nsmgr";

function setup(lifetimeMs = 600_000) {
  const clock = new FakeClock(1_700_000_000_400);
  const key = generateKey();
  return { clock, key, tokens: createTokenSource({ subject, key, lifetimeMs, clock }) };
}

describe("a token source", () => {
  it("signs what NSM's checks want: ES256, the subject, an expiry, and no audience unless there is one", async () => {
    const { clock, key, tokens } = setup();
    const { token, expires } = await tokens();
    const { payload, protectedHeader } = await jwtVerify(token, key.publicKey, { currentDate: new Date(clock.now()) });
    assert.deepEqual(payload, { sub: subject, exp: 1_700_000_600 });
    assert.deepEqual(protectedHeader, { alg: "ES256", typ: "JWT" });
    assert.equal(expires, 1_700_000_600_000);
  });

  it("names the peer it is for", async () => {
    const { clock, key, tokens } = setup();
    const { payload } = await jwtVerify((await tokens("spiffe://tokyo/x")).token, key.publicKey, { currentDate: new Date(clock.now()) });
    assert.deepEqual(payload.aud, ["spiffe://tokyo/x"]);
  });

  it("hands the same one out for a tenth of its life, per audience", async () => {
    const { clock, tokens } = setup();
    const first = await tokens();
    await clock.advance(59_999);
    assert.equal(await tokens(), first);
    assert.notEqual((await tokens("spiffe://tokyo/x")).token, first.token);
    await clock.advance(1);
    const second = await tokens();
    assert.notEqual(second, first);
    assert.equal(second.expires, first.expires + 60_000);
  });

  it("never says that a token lasts longer than it does", async () => {
    const { clock, tokens } = setup(1_000);
    const { expires } = await tokens();
    assert.ok(expires <= clock.now() + 1_000);
  });
});
