import assert from "node:assert/strict";
import { begin } from "../../../core/begin.js";
import { chain } from "../../../core/chain.js";
import { MeshError } from "../../../core/error.js";
import { silent } from "../../../core/log.js";
import { updatePath } from "../../../core/path.js";
import { timeout } from "../../../core/timeout.js";
import { updateToken } from "../../../core/token.js";
import { callOf, connection, counting, deferred, failsWith, segment, settled, tailOf, tokensOf } from "../../lib/chainKit.js";
import { FakeClock } from "../../lib/fakeClock.js";

function hop(answer?: Parameters<typeof tailOf>[0], grace?: () => number) {
  const clock = new FakeClock();
  const begun = begin({ log: silent });
  const tail = tailOf(answer);
  const timer = timeout({ clock, log: silent, end: (id, due) => begun.end(id, undefined, due), ...(grace ? { grace } : {}) });
  const handler = chain([updatePath("nsmgr", counting("n")), begun, updateToken(tokensOf("nsmgr", clock)), timer], tail);
  begun.bind(chain([updateToken(tokensOf("nsmgr", clock)), timer], tail));
  const request = (conn = connection({}, ["client/c1"]), lifetimeMs = 1000) =>
    handler.request(callOf(conn, { caller: { token: "t", expires: clock.now() + lifetimeMs } }));
  return { clock, begun, tail, handler, timer, request };
}

describe("timeout", () => {
  it("ends a connection when the caller's token ends", async () => {
    const { clock, tail, request } = hop();
    await request();
    await clock.advance(999);
    assert.equal(tail.closes.length, 0);
    await clock.advance(1);
    assert.equal(tail.closes.length, 1);
    assert.equal(clock.pending, 0);
  });

  it("waits longer with a grace", async () => {
    const { clock, tail, request } = hop(undefined, () => 500);
    await request();
    await clock.advance(1499);
    assert.equal(tail.closes.length, 0);
    await clock.advance(1);
    assert.equal(tail.closes.length, 1);
  });

  it("starts anew with a refresh", async () => {
    const { clock, tail, request } = hop();
    const answer = await request();
    await clock.advance(900);
    await request(answer);
    await clock.advance(900);
    assert.equal(tail.closes.length, 0);
    await clock.advance(100);
    assert.equal(tail.closes.length, 1);
  });

  it("keeps the old timer when a refresh fails", async () => {
    let fail = false;
    const { clock, tail, request } = hop((call) => {
      if (fail) throw new MeshError("unreachable", "gone");
      return call.connection;
    });
    const answer = await request();
    fail = true;
    await clock.advance(500);
    await failsWith("unreachable", "gone", request(answer));
    await clock.advance(500);
    assert.equal(tail.closes.length, 1);
  });

  it("does not end a connection whose refresh was running when the time was over", async () => {
    const gate = deferred();
    let slow = false;
    const { clock, tail, begun, request } = hop(async (call) => {
      if (slow) await gate.promise;
      return call.connection;
    });
    const answer = await request();
    slow = true;
    await clock.advance(500);
    const refreshed = request(answer);
    await clock.advance(700);
    gate.resolve();
    await refreshed;
    await settled();
    assert.equal(tail.closes.length, 0);
    assert.equal(begun.list().length, 1);
  });

  it("forgets the timer at a close, and has none after a request that failed", async () => {
    const { clock, handler, request } = hop();
    await handler.close(callOf(await request()));
    assert.equal(clock.pending, 0);
    const failing = hop(() => Promise.reject(new MeshError("kernel", "no")));
    await failsWith("kernel", "no", failing.request());
    assert.equal(failing.clock.pending, 0);
  });

  it("refuses a token that has ended", async () => {
    const { request } = hop();
    await failsWith("denied", 'the token of "client" ended at', request(undefined, 0));
  });

  it("waits for nobody where the path starts", async () => {
    const { clock, handler } = hop();
    await handler.request(callOf(connection({}, [segment("nsmgr/n1")])));
    assert.equal(clock.pending, 0);
  });

  it("ends what an earlier run had, unless it is refreshed in time", async () => {
    const { clock, begun, tail, timer, request } = hop();
    for (const n of [8, 9]) {
      begun.adopt(connection({}, [`client/c${n}`, `nsmgr/n${n}`, `forwarder/f${n}`], 1));
      timer.adopt(`n${n}`, 600);
    }
    await request(connection({}, ["client/c8", "nsmgr/n8", "forwarder/f8"]), 5000);
    await clock.advance(600);
    assert.deepEqual(
      tail.closes.map(({ connection: { id } }) => id),
      ["n9"],
    );
  });

  it("says in the log when the close failed", async () => {
    const { clock, tail, request } = hop();
    tail.close = () => Promise.reject(new MeshError("unreachable", "no route"));
    await request();
    await clock.advance(1000);
    assert.equal(clock.pending, 0);
  });
});
