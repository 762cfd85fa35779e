import assert from "node:assert/strict";
import { begin } from "../../../core/begin.js";
import { chain } from "../../../core/chain.js";
import { MeshError } from "../../../core/error.js";
import { silent } from "../../../core/log.js";
import { updatePath } from "../../../core/path.js";
import { refresh, refreshAfter } from "../../../core/refresh.js";
import { toTimestamp } from "../../../core/timestamp.js";
import { callOf, connection, counting, failsWith, segment, tailOf } from "../../lib/chainKit.js";
import { FakeClock } from "../../lib/fakeClock.js";

/** A client whose next hop's token lasts `lifetimeMs` from each request. */
function client(lifetimeMs = 10_000) {
  const clock = new FakeClock();
  const begun = begin({ log: silent });
  const state = { fail: false };
  const tail = tailOf(({ connection: conn }) => {
    if (state.fail) throw new MeshError("unreachable", "gone");
    const expires = toTimestamp(clock.now() + lifetimeMs);
    return { ...conn, path: { index: 0, pathSegments: [segment("client/c1"), segment("nsmgr/n1", { expires })] } };
  });
  const refreshing = refresh({ clock, log: silent, again: (id) => begun.again(id) });
  const handler = chain([updatePath("client", counting("c")), begun, refreshing], tail);
  begun.bind(chain([refreshing], tail));
  return { clock, tail, handler, state, begun };
}

const request = callOf(connection({ id: "c1" }));

describe("refresh", () => {
  it("asks again after a fifth of the shortest life", async () => {
    const { clock, tail, handler } = client();
    await handler.request(request);
    await clock.advance(1999);
    assert.equal(tail.requests.length, 1);
    await clock.advance(1);
    assert.equal(tail.requests.length, 2);
    await clock.advance(2000);
    assert.equal(tail.requests.length, 3);
  });

  it("tries again after 200 ms, and less and less often, up to 2 s", async () => {
    const { clock, tail, handler, state } = client();
    await handler.request(request);
    state.fail = true;
    await clock.advance(2000);
    const at = clock.now();
    const times: number[] = [];
    for (let seen = tail.requests.length; times.length < 6; ) {
      await clock.advance(100);
      if (tail.requests.length > seen) {
        seen = tail.requests.length;
        times.push(clock.now() - at);
      }
    }
    assert.deepEqual(times, [200, 600, 1400, 3000, 5000, 7000]);
  });

  it("goes back to its pace after a success", async () => {
    const { clock, tail, handler, state } = client();
    await handler.request(request);
    state.fail = true;
    await clock.advance(2000);
    state.fail = false;
    await clock.advance(200);
    assert.equal(tail.requests.length, 3);
    await clock.advance(1999);
    assert.equal(tail.requests.length, 3);
    await clock.advance(1);
    assert.equal(tail.requests.length, 4);
  });

  it("leaves the retry to a success that came another way", async () => {
    const { clock, tail, handler, state, begun } = client();
    await handler.request(request);
    state.fail = true;
    await clock.advance(2000);
    state.fail = false;
    await begun.again("c1");
    await clock.advance(1000);
    assert.equal(tail.requests.length, 3);
    assert.equal(clock.pending, 1);
  });

  it("stops at a close, also between two tries", async () => {
    const { clock, handler, state } = client();
    const answer = await handler.request(request);
    state.fail = true;
    await clock.advance(2100);
    await handler.close(callOf(answer));
    assert.equal(clock.pending, 0);
  });

  it("does not begin for a request that failed", async () => {
    const { clock, handler, state } = client();
    state.fail = true;
    await failsWith("unreachable", "gone", handler.request(request));
    assert.equal(clock.pending, 0);
  });
});

describe("refreshAfter", () => {
  const path = (index: number, ...lives: (number | undefined)[]) =>
    connection(
      {},
      lives.map((ms, i) => segment(`hop${i}/id${i}`, { expires: ms === undefined ? undefined : toTimestamp(1_000_000 + ms) })),
      index,
    );
  const cases: [string, number | undefined, ReturnType<typeof path>][] = [
    ["a third of the life where there is one hop", 30_000, path(0, 90_000)],
    ["a fifth of the shortest for the first of several", 12_000, path(0, 90_000, 60_000, 80_000)],
    ["more for a hop in the middle", 18_000, path(1, 60_000, 90_000)],
    ["as soon as it may where one has ended", 200, path(0, -5_000, 60_000)],
    ["what others say where one says nothing", 12_000, path(0, undefined, 60_000)],
    ["never where nobody says anything", undefined, path(0, undefined, undefined)],
  ];
  for (const [what, ms, conn] of cases) it(`is ${what}`, () => assert.equal(refreshAfter(conn, 1_000_000), ms));
});
