import assert from "node:assert/strict";
import type { Connection, ConnectionEvent, State } from "../../../api/gen/connection/connection.js";
import { chain } from "../../../core/chain.js";
import { MeshError } from "../../../core/error.js";
import { type HealState, heal } from "../../../core/heal.js";
import { listenTo } from "../../../core/listen.js";
import { silent } from "../../../core/log.js";
import { DELETE, DOWN, INITIAL_STATE_TRANSFER, REFRESH_REQUESTED, RESELECT_REQUESTED, UP, UPDATE } from "../../../core/states.js";
import { callOf, connection, deferred, FedStreams, segment, settled, tailOf } from "../../lib/chainKit.js";
import { FakeClock } from "../../lib/fakeClock.js";

const mine = connection({}, ["client/c1", "nsmgr/n1", "forwarder/f1"]);

function event(type: ConnectionEvent["type"], state: State = UP, metrics: Record<string, string> = {}): ConnectionEvent {
  const conn = connection({ state }, ["client/c1", "nsmgr/n1", segment("forwarder/f1", { metrics })], 1);
  return { type, connections: { n1: conn } };
}
const initial = event(INITIAL_STATE_TRANSFER);
const dead = event(UPDATE, DOWN, { "isthmus.datapath": "dead" });
const alive = event(UPDATE, DOWN, { "isthmus.datapath": "alive" });

/** A client that heals; each `again` is written down as "plain" or "reselect" and does what `answer` says. */
async function client() {
  const clock = new FakeClock();
  const streams = new FedStreams();
  const asked: string[] = [];
  const told: HealState[] = [];
  const gone: string[] = [];
  const state: { answer: (signal: AbortSignal) => Promise<void> } = { answer: async () => {} };
  const element = heal({
    ...{ clock, log: silent },
    random: () => 1,
    listen: (own, listener) => {
      assert.deepEqual(own, { name: "client", id: "c1" });
      return listenTo((signal) => streams.watch("next", signal), listener);
    },
    async again(id, change, signal) {
      assert.equal(id, "c1");
      const call = change?.(callOf(mine)) ?? callOf(mine);
      asked.push(call.connection.state === RESELECT_REQUESTED ? "reselect" : "plain");
      await state.answer(signal);
      return handler.request(call);
    },
    gone: (id) => gone.push(id),
    notify: (_, now) => told.push(now),
  });
  const handler = chain([element], tailOf());
  await handler.request(callOf(mine));
  await settled();
  return {
    ...{ clock, streams, asked, told, gone, state },
    async hear(...events: ConnectionEvent[]) {
      for (const each of events) streams.open[0]?.push(each);
      await settled();
    },
    refuse(code: "unreachable" | "netns-gone" | "moved" = "unreachable") {
      state.answer = () => Promise.reject(new MeshError(code, "it is gone"));
    },
    async stop() {
      await handler.close(callOf(mine));
      await settled();
      assert.equal(streams.open.length, 0, "no stream is left");
      assert.equal(clock.pending, 0, "no timer is left");
    },
  };
}

describe("heal", () => {
  it("does nothing while the next hop says UP", async () => {
    const { hear, asked, stop } = await client();
    await hear(initial, event(UPDATE), event(UPDATE));
    assert.deepEqual(asked, []);
    await stop();
  });

  it("asks again without a reselect where packets still cross", async () => {
    const { hear, asked, told, stop } = await client();
    await hear(initial, alive);
    assert.deepEqual(asked, ["plain"]);
    assert.deepEqual(told, [
      { state: "healing", reason: "a hop does not answer", heals: 0 },
      { state: "up", heals: 1 },
    ]);
    await stop();
  });

  it("asks for another endpoint where the data path is dead", async () => {
    const { hear, asked, told, stop } = await client();
    await hear(initial, dead);
    assert.deepEqual(asked, ["reselect"]);
    assert.equal(told[0]?.state === "healing" && told[0].reason, "no packets cross");
    await stop();
  });

  it("asks for another endpoint when the next hop closed the connection", async () => {
    const { hear, asked, stop } = await client();
    await hear(initial, event(DELETE));
    assert.deepEqual(asked, ["reselect"]);
    await stop();
  });

  it("asks again when that is asked for, and for another endpoint when that is", async () => {
    const { hear, asked, stop } = await client();
    await hear(initial, event(UPDATE, REFRESH_REQUESTED));
    await hear(event(UPDATE, RESELECT_REQUESTED));
    assert.deepEqual(asked, ["plain", "reselect"]);
    await stop();
  });

  it("asks again when the stream is lost, and when it comes back without the connection", async () => {
    const { hear, asked, streams, clock, stop } = await client();
    await hear(initial);
    streams.open[0]?.lose(new Error("reset"));
    await settled();
    assert.deepEqual(asked, ["plain"]);
    await clock.advance(200);
    await hear({ type: INITIAL_STATE_TRANSFER, connections: {} });
    assert.deepEqual(asked, ["plain", "plain"]);
    await stop();
  });

  it("hears nothing of other connections", async () => {
    const { hear, asked, stop } = await client();
    const other = connection({ state: DOWN }, ["client/c2", "nsmgr/n2"], 1);
    await hear(initial, { type: UPDATE, connections: { n2: other } }, { type: DELETE, connections: { n2: other } });
    assert.deepEqual(asked, []);
    await stop();
  });

  it("understands a next hop that leaves the index at the client", async () => {
    const { hear, asked, stop } = await client();
    const conn: Connection = connection({ state: DOWN }, ["client/c1", "nsmgr/n1"], 0);
    await hear(initial, { type: UPDATE, connections: { c1: conn } });
    assert.deepEqual(asked, ["plain"]);
    await stop();
  });

  it("tries until it works, after 100 ms, 200 ms ... 2 s", async () => {
    const { hear, asked, refuse, clock, state, told, stop } = await client();
    refuse();
    await hear(initial, alive);
    const counts: number[] = [];
    for (const ms of [100, 200, 400, 800, 1600, 2000, 2000]) {
      await clock.advance(ms - 1);
      const before = asked.length;
      await clock.advance(1);
      counts.push(asked.length - before);
    }
    assert.deepEqual(counts, [1, 1, 1, 1, 1, 1, 1]);
    state.answer = async () => {};
    await clock.advance(2000);
    assert.equal(asked.length, 9);
    assert.deepEqual(told.at(-1), { state: "up", heals: 1 });
    assert.deepEqual(told.at(-2), { state: "healing", reason: "it is gone", heals: 0 });
    await clock.advance(60_000);
    assert.equal(asked.length, 9);
    await stop();
  });

  it("spreads the tries by chance", async () => {
    const clock = new FakeClock();
    const streams = new FedStreams();
    let asked = 0;
    const element = heal({
      ...{ clock, log: silent },
      random: () => 0,
      listen: (_, listener) => listenTo((signal) => streams.watch("next", signal), listener),
      again: () => {
        asked++;
        return Promise.reject(new MeshError("unreachable", "gone"));
      },
    });
    const handler = chain([element], tailOf());
    await handler.request(callOf(mine));
    await settled();
    streams.open[0]?.push(alive);
    await settled();
    await clock.advance(49);
    assert.equal(asked, 1);
    await clock.advance(1);
    assert.equal(asked, 2);
    await handler.close(callOf(mine));
  });

  it("switches to a reselect when the data path dies while it waits to try again", async () => {
    const { hear, asked, refuse, stop } = await client();
    refuse();
    await hear(initial, alive);
    await hear(dead);
    assert.deepEqual(asked, ["plain", "reselect"]);
    await stop();
  });

  it("switches to a reselect while an attempt hangs", async () => {
    const { hear, asked, state, stop, told } = await client();
    state.answer = (signal) =>
      asked.length > 1 ? Promise.resolve() : new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    await hear(initial, alive);
    await hear(dead);
    assert.deepEqual(asked, ["plain", "reselect"]);
    assert.equal(told.at(-1)?.state, "up");
    await stop();
  });

  it("reselects when the data path died while a plain attempt succeeded", async () => {
    const gate = deferred();
    const { hear, asked, state, stop } = await client();
    state.answer = () => (asked.length > 1 ? Promise.resolve() : gate.promise);
    await hear(initial, alive);
    await hear(dead);
    gate.resolve();
    await settled();
    assert.deepEqual(asked, ["plain", "reselect"]);
    await stop();
  });

  it("stays with the reselect until one works", async () => {
    const { hear, asked, refuse, clock, state, stop } = await client();
    refuse();
    await hear(initial, dead);
    await hear(alive);
    await clock.advance(100);
    state.answer = async () => {};
    await clock.advance(200);
    assert.deepEqual(asked, ["reselect", "reselect", "reselect"]);
    await hear(alive);
    assert.equal(asked.at(-1), "plain", "the next time is judged anew");
    await stop();
  });

  it("stops trying when the connection comes up by itself", async () => {
    const { hear, asked, refuse, clock, told, stop } = await client();
    refuse();
    await hear(initial, alive);
    await hear(event(UPDATE));
    await clock.advance(10_000);
    assert.deepEqual(asked, ["plain"]);
    assert.equal(told.at(-1)?.state, "up");
    await hear(alive);
    assert.deepEqual(asked, ["plain", "plain"], "and heals again when it is down again");
    await stop();
  });

  it("gives an attempt that hangs 15 s", async () => {
    const { hear, asked, state, clock, stop } = await client();
    state.answer = (signal) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    await hear(initial, alive);
    await clock.advance(14_999);
    assert.equal(asked.length, 1);
    await clock.advance(101);
    assert.equal(asked.length, 2);
    await stop();
  });

  it("runs one attempt at a time, however often it hears DOWN", async () => {
    const gate = deferred();
    const { hear, asked, state, stop } = await client();
    state.answer = () => gate.promise;
    await hear(initial, alive, alive, alive);
    assert.deepEqual(asked, ["plain"]);
    gate.resolve();
    await settled();
    await stop();
  });

  for (const code of ["netns-gone", "moved"] as const)
    it(`ends where the connection cannot come back: ${code}`, async () => {
      const { hear, asked, refuse, gone, clock, streams } = await client();
      refuse(code);
      await hear(initial, dead);
      await clock.advance(10_000);
      assert.deepEqual(gone, ["c1"]);
      assert.deepEqual(asked, ["reselect"]);
      assert.equal(streams.open.length, 0);
    });

  it("ends with the close, in the middle of an attempt and between two", async () => {
    for (const refused of [true, false]) {
      const { hear, asked, refuse, state, clock, stop } = await client();
      if (refused) refuse();
      else state.answer = (signal) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
      await hear(initial, alive);
      await stop();
      await clock.advance(60_000);
      assert.deepEqual(asked, ["plain"]);
    }
  });
});
