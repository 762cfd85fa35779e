import assert from "node:assert/strict";
import type { Connection, MonitorScopeSelector } from "../../../api/gen/connection/connection.js";
import { serverChain } from "../../../core/assembly.js";
import { begin } from "../../../core/begin.js";
import type { Handler } from "../../../core/chain.js";
import { silent } from "../../../core/log.js";
import { Monitor } from "../../../core/monitor.js";
import { timeout } from "../../../core/timeout.js";
import type { Identity } from "../../../identity/identity.js";
import { generateKey } from "../../../identity/keys.js";
import { callOf, connection, failsWith, segment, settled, tailOf, unending } from "../../lib/chainKit.js";
import { FakeClock } from "../../lib/fakeClock.js";
import { testIdentity } from "../../lib/identities.js";
import { makeToken } from "../../lib/tokenMaker.js";

/** One hop, called by authenticated peers: a client that owns a connection, and a stranger that knows all of its ids. */
describe("who may touch a connection", () => {
  let clock: FakeClock;
  let self: Identity;
  let client: Identity;
  let stranger: Identity;
  let handler: Handler;
  let monitor: Monitor;
  let tail: ReturnType<typeof tailOf>;

  beforeEach(async () => {
    clock = new FakeClock();
    [self, client, stranger] = (await Promise.all(
      ["self", "client", "stranger"].map((name) => testIdentity(`spiffe://test/${name}`, clock)),
    )) as [Identity, Identity, Identity];
    monitor = new Monitor();
    tail = tailOf();
    const connections = begin({ log: silent });
    handler = serverChain({
      ...{ name: "self", tokens: self.tokens, prover: self.prover, clock, log: silent, monitor, begin: connections, elements: [], tail },
      timeout: timeout({ clock, log: silent, end: (id, due) => connections.end(id, undefined, due) }),
    });
  });

  const call = async (who: Identity, conn: Connection) => {
    const link = {
      peer: { id: who.id, publicKey: who.source.current.chain[0]?.publicKey ?? assert.fail() },
      ...{ self: self.id, tokens: self.tokensBy(self.source.current) },
    };
    return callOf(conn, { link, caller: await who.tokens(self.id) });
  };
  const request = async (who: Identity, conn: Connection) => handler.request(await call(who, conn));
  const close = async (who: Identity, conn: Connection) => handler.close(await call(who, conn));
  const fresh = () => connection({}, ["client/c1"]);
  const seen = async (viewer: string, selector: Partial<MonitorScopeSelector> = {}) => {
    for await (const { connections } of monitor.watch({ pathSegments: [], networkServices: [], ...selector }, unending, viewer))
      return Object.keys(connections).length;
    return 0;
  };

  it("the one who asked for it may ask again and close it", async () => {
    const conn = await request(client, fresh());
    await request(client, conn);
    await close(client, conn);
    assert.deepEqual([tail.requests.length, tail.closes.length], [2, 1]);
  });

  it("signs its answer for who asked", async () => {
    const conn = await request(client, fresh());
    const { token = "" } = conn.path?.pathSegments[1] ?? {};
    assert.deepEqual(JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()).aud, [client.id]);
  });

  it("a stranger may not, though it knows every id", async () => {
    const conn = await request(client, fresh());
    await failsWith("denied", `${stranger.id} is not on the path of connection`, request(stranger, conn));
    await failsWith("denied", "may not change or close it", close(stranger, conn));
    assert.deepEqual([tail.requests.length, tail.closes.length], [1, 0]);
    assert.equal(monitor.list().length, 1);
  });

  it("a stranger may not either when it says that the client asks through it", async () => {
    const conn = await request(client, fresh());
    const forged = makeToken({ sub: client.id, aud: [stranger.id], exp: clock.now() / 1000 + 60 }, generateKey().privateKey);
    const path = {
      index: 1,
      pathSegments: [segment("client/c1", { token: forged }), segment("evil/e1"), segment(`self/${conn.path?.pathSegments[1]?.id}`)],
    };
    await failsWith("denied", "is not on the path", request(stranger, { ...conn, id: "e1", path }));
  });

  it("a stranger that says it is the client come back does not get the client's connection closed", async () => {
    await request(client, fresh());
    await failsWith("denied", "is not on the path", request(stranger, fresh()));
    await failsWith("denied", "is not on the path", close(stranger, fresh()));
    await settled();
    assert.equal(tail.closes.length, 0);
  });

  it("a stranger sees nothing of it, and is refused when it asks for it by id", async () => {
    const conn = await request(client, fresh());
    const byId = { pathSegments: [segment(`/${conn.id}`)] };
    assert.deepEqual([await seen(client.id), await seen(client.id, byId)], [1, 1]);
    assert.equal(await seen(stranger.id), 0);
    await failsWith("denied", `${stranger.id} is not on the path of connection`, seen(stranger.id, byId));
    assert.equal(await seen(stranger.id, { pathSegments: [segment("/unknown")] }), 0);
  });

  it("nobody comes in without a token, or without a segment of its own", async () => {
    const { caller: _, ...bare } = await call(client, fresh());
    await failsWith("denied", "the caller presents no token", handler.request(bare));
    await failsWith("invalid", "the caller is not in the path", request(client, connection({ id: "c1" })));
  });
});
