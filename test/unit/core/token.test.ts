import assert from "node:assert/strict";
import { chain } from "../../../core/chain.js";
import { subjectOf } from "../../../core/jwt.js";
import { ownSegment, previousSegment } from "../../../core/path.js";
import { toTimestamp } from "../../../core/timestamp.js";
import { updateToken } from "../../../core/token.js";
import { callOf, connection, failsWith, segment, tailOf } from "../../lib/chainKit.js";

const own = async () => ({ token: "mine", expires: 5_000 });
const caller = { token: "theirs", expires: 9_500 };

describe("updateToken", () => {
  it("writes the caller's token into the segment before and its own into its own", async () => {
    const tail = tailOf();
    await chain([updateToken(own)], tail).request(callOf(connection({}, ["client/c1", "nsmgr/n1"], 1), { caller }));
    const conn = tail.requests[0]?.connection;
    assert.ok(conn);
    assert.equal(previousSegment(conn)?.token, "theirs");
    assert.deepEqual(previousSegment(conn)?.expires, { seconds: 9, nanos: 500_000_000 });
    assert.equal(ownSegment(conn).token, "mine");
    assert.deepEqual(ownSegment(conn).expires, { seconds: 5, nanos: 0 });
  });

  it("takes the expiry that is there where the path came without a transport", async () => {
    const before = segment("client/c1", { expires: toTimestamp(7_000) });
    const conn = await chain([updateToken(own)]).request(callOf(connection({}, [before, "nsmgr/n1"], 1)));
    assert.deepEqual(previousSegment(conn)?.expires, toTimestamp(7_000));
  });

  it("signs where the path starts", async () => {
    const conn = await chain([updateToken(own)]).request(callOf(connection({}, ["client/c1"])));
    assert.equal(ownSegment(conn).token, "mine");
  });

  it("refuses a request whose previous hop says no expiry", async () => {
    const request = chain([updateToken(own)]).request(callOf(connection({}, ["client/c1", "nsmgr/n1"], 1)));
    await failsWith("invalid", 'the token of "client" says no expiry', request);
  });

  it("refuses a caller that is not in the path", async () => {
    const request = chain([updateToken(own)]).request(callOf(connection({}, ["nsmgr/n1"]), { caller }));
    await failsWith("invalid", "the caller is not in the path", request);
  });

  it("signs a close, and does not refuse one", async () => {
    const tail = tailOf();
    await chain([updateToken(own)], tail).close(callOf(connection({}, ["client/c1", "nsmgr/n1"], 1)));
    const conn = tail.closes[0]?.connection;
    assert.ok(conn);
    assert.equal(ownSegment(conn).token, "mine");
  });
});

describe("subjectOf", () => {
  const jwt = (claims: unknown) => `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.sig`;

  it("reads the subject without checking the signature", () => {
    assert.equal(subjectOf(jwt({ sub: "spiffe://paris/node-1/forwarder" })), "spiffe://paris/node-1/forwarder");
  });

  it("finds none in what is no token", () => {
    for (const token of ["", "x", "a.b.c", jwt({}), jwt({ sub: 5 }), jwt(null), jwt("sub")])
      assert.equal(subjectOf(token), undefined, token);
  });
});
