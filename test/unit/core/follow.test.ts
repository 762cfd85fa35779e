import assert from "node:assert/strict";
import type { Connection, ConnectionEvent } from "../../../api/gen/connection/connection.js";
import { chain } from "../../../core/chain.js";
import { type DownReason, follow } from "../../../core/follow.js";
import { listenTo } from "../../../core/listen.js";
import { silent } from "../../../core/log.js";
import { Monitor } from "../../../core/monitor.js";
import { withoutNextSegments } from "../../../core/path.js";
import { DELETE, DOWN, INITIAL_STATE_TRANSFER, REFRESH_REQUESTED, UP, UPDATE } from "../../../core/states.js";
import { callOf, connection, deferred, FedStreams, failsWith, segment, settled, tailOf } from "../../lib/chainKit.js";
import { FakeClock } from "../../lib/fakeClock.js";

const target = "tcp://forwarder";
const mine = connection({}, ["client/c1", "nsmgr/n1", "forwarder/f1"], 1);
/** The same as the next hop sees it. */
const theirs = (part: Partial<Connection> = {}, metrics: Record<string, string> = {}): Connection =>
  connection(part, ["client/c1", "nsmgr/n1", segment("forwarder/f1", { metrics })], 2);

function event(type: ConnectionEvent["type"], ...conns: Connection[]): ConnectionEvent {
  return { type, connections: Object.fromEntries(conns.map((conn) => [conn.id, conn])) };
}

function hop(onDown?: (conn: Connection, reason: DownReason) => Promise<Connection> | Connection) {
  const clock = new FakeClock();
  const monitor = new Monitor();
  const streams = new FedStreams();
  const published: string[] = [];
  const states = ["UP", "DOWN", "REFRESH", "RESELECT"];
  const life = new AbortController();
  const reading = (async () => {
    for await (const { type, connections } of monitor.watch({ pathSegments: [], networkServices: [] }, life.signal))
      for (const { state, path } of Object.values(connections)) {
        const metrics = path?.pathSegments.flatMap((each) =>
          Object.entries(each.metrics).map(([key, value]) => ` ${each.name} ${key}=${value}`),
        );
        if (type === UPDATE) published.push(`${states[state]}${metrics?.join("")}`);
        if (type === DELETE) published.push("DELETED");
      }
  })();
  const tail = tailOf();
  const element = follow({
    listen: (url, own, listener) => {
      assert.deepEqual(own, { name: "nsmgr", id: "n1" });
      return listenTo((signal) => streams.watch(url, signal), listener);
    },
    ...{ monitor, clock, log: silent },
    ...(onDown ? { onDown } : {}),
  });
  const handler = chain([monitor.element, element], tail);
  const say = async (said: ConnectionEvent) => {
    streams.open[0]?.push(said);
    await settled();
  };
  return {
    ...{ clock, monitor, streams, published, handler, tail, say },
    request: (conn = mine, url = target) => handler.request(callOf(conn, { target: url })),
    async stop() {
      await handler.close(callOf(mine));
      life.abort();
      await reading;
      assert.equal(streams.open.length, 0, "no stream is left");
      assert.equal(clock.pending, 0, "no timer is left");
    },
  };
}

describe("follow", () => {
  it("watches the next hop after a success, with one stream however often it is refreshed", async () => {
    const { request, streams, stop } = hop();
    await request();
    await request();
    await settled();
    assert.equal(streams.opened, 1);
    assert.equal(streams.open[0]?.url, target);
    await stop();
  });

  it("does not watch after a failure, nor where nothing is dialled", async () => {
    const { handler, tail, streams, stop } = hop();
    tail.request = () => Promise.reject(new Error("no"));
    await assert.rejects(handler.request(callOf(mine, { target })));
    tail.request = async (call) => call.connection;
    await handler.request(callOf(mine));
    assert.equal(streams.opened, 0);
    await stop();
  });

  it("says DOWN and a dead data path when the next hop closed the connection", async () => {
    const { request, say, published, stop } = hop();
    await request();
    await say(event(INITIAL_STATE_TRANSFER, theirs()));
    await say(event(DELETE, theirs()));
    assert.deepEqual(published, ["UP", "DOWN nsmgr isthmus.datapath=dead"]);
    await stop();
  });

  it("says DOWN when the next hop says so, with what the hops behind say of themselves", async () => {
    const { request, say, published, stop } = hop();
    await request();
    await say(event(INITIAL_STATE_TRANSFER, theirs()));
    await say(event(UPDATE, theirs({ state: DOWN }, { "isthmus.datapath": "dead" })));
    assert.deepEqual(published, ["UP", "DOWN forwarder isthmus.datapath=dead"]);
    await stop();
  });

  it("says DOWN once when the stream is lost, and UP when it is back and says so", async () => {
    const { request, say, published, streams, clock, stop } = hop();
    await request();
    await say(event(INITIAL_STATE_TRANSFER, theirs()));
    streams.refuse = new Error("no route");
    streams.open[0]?.lose(new Error("reset"));
    await settled();
    await clock.advance(5000);
    assert.deepEqual(published, ["UP", "DOWN"]);
    streams.refuse = undefined;
    await clock.advance(2000);
    await say(event(INITIAL_STATE_TRANSFER, theirs()));
    assert.deepEqual(published, ["UP", "DOWN", "UP"]);
    await stop();
  });

  it("does not call lost what is heard again while it still looks at something else", async () => {
    const gate = deferred();
    const reasons: DownReason[] = [];
    const { request, say, published, streams, clock, stop } = hop(async (conn, reason) => {
      reasons.push(reason);
      await gate.promise;
      return conn;
    });
    await request();
    await say(event(UPDATE, theirs({ state: DOWN })));
    streams.open[0]?.lose(new Error("reset"));
    await settled();
    await clock.advance(200);
    await say(event(INITIAL_STATE_TRANSFER, theirs()));
    gate.resolve();
    await settled();
    assert.deepEqual(reasons, ["down"]);
    assert.deepEqual(published, ["UP", "DOWN", "UP"]);
    await stop();
  });

  it("opens a lost stream again after 200 ms, 400 ms ... 2 s", async () => {
    const { request, streams, clock, stop } = hop();
    streams.refuse = new Error("no route");
    await request();
    await settled();
    const opened: number[] = [];
    for (const ms of [200, 400, 800, 1600, 2000, 2000]) {
      await clock.advance(ms - 1);
      const before = streams.opened;
      await clock.advance(1);
      opened.push(streams.opened - before);
    }
    assert.deepEqual(opened, [1, 1, 1, 1, 1, 1]);
    await stop();
  });

  it("says DOWN when the stream is back but the next hop does not know the connection", async () => {
    const { request, say, published, stop } = hop();
    await request();
    await say(event(INITIAL_STATE_TRANSFER));
    assert.deepEqual(published, ["UP", "DOWN"]);
    await say(event(UPDATE, theirs()));
    assert.deepEqual(published, ["UP", "DOWN", "UP"]);
    await stop();
  });

  it("passes on what the hops behind count, and nothing when nothing changed", async () => {
    const { request, say, published, stop } = hop();
    await request();
    await say(event(INITIAL_STATE_TRANSFER, theirs()));
    await say(event(UPDATE, theirs({}, { rx: "1" })));
    await say(event(UPDATE, theirs({}, { rx: "1" })));
    assert.deepEqual(published, ["UP", "UP forwarder rx=1"]);
    await stop();
  });

  it("hears nothing of other connections", async () => {
    const { request, say, published, stop } = hop();
    await request();
    const other = connection({ state: DOWN }, ["client/c2", "nsmgr/n2", "forwarder/f2"], 2);
    await say(event(INITIAL_STATE_TRANSFER, theirs()));
    await say(event(UPDATE, other));
    await say(event(DELETE, other));
    assert.deepEqual(published, ["UP"]);
    await stop();
  });

  it("passes on that a refresh is wanted", async () => {
    const { request, say, published, stop } = hop();
    await request();
    await say(event(UPDATE, theirs({ state: REFRESH_REQUESTED })));
    assert.deepEqual(published, ["UP", "REFRESH"]);
    await stop();
  });

  it("looks before it says DOWN, and says what was seen", async () => {
    const reasons: DownReason[] = [];
    const seen = deferred<Connection>();
    const { request, say, published, stop } = hop((conn, reason) => {
      reasons.push(reason);
      return seen.promise.then(() => ({ ...conn, state: UP }));
    });
    await request();
    await say(event(UPDATE, theirs({ state: DOWN })));
    assert.deepEqual(published, ["UP"]);
    seen.resolve(mine);
    await settled();
    assert.deepEqual(reasons, ["down"]);
    assert.deepEqual(published, ["UP", "DOWN"]);
    await stop();
  });

  it("says DOWN also when looking failed", async () => {
    const { request, say, published, stop } = hop(() => Promise.reject(new Error("no socket")));
    await request();
    await say(event(DELETE, theirs()));
    assert.deepEqual(published, ["UP", "DOWN"]);
    await stop();
  });

  it("does not say UP while whoever looked found the data path dead", async () => {
    const dead = (conn: Connection) => ({
      ...conn,
      path: {
        index: 1,
        pathSegments: (conn.path?.pathSegments ?? []).map((each, i) =>
          i === 1 ? { ...each, metrics: { "isthmus.datapath": "dead" } } : each,
        ),
      },
    });
    const { request, say, published, stop } = hop(dead);
    await request();
    await say(event(UPDATE, theirs({ state: DOWN })));
    await say(event(UPDATE, theirs()));
    assert.deepEqual(published, ["UP", "DOWN nsmgr isthmus.datapath=dead"]);
    await stop();
  });

  it("does not say DOWN of what a request has mended while it looked", async () => {
    const seen = deferred();
    const { request, say, published, stop } = hop(async (conn) => {
      await seen.promise;
      return conn;
    });
    await request();
    await say(event(UPDATE, theirs({ state: DOWN })));
    await request();
    seen.resolve();
    await settled();
    assert.deepEqual(published, ["UP", "UP"]);
    await stop();
  });

  it("forgets that it was dead when a request has mended it", async () => {
    const { request, say, published, stop } = hop();
    await request();
    await say(event(DELETE, theirs()));
    const pathSegments =
      mine.path?.pathSegments.map((each, i) => (i === 1 ? { ...each, metrics: { "isthmus.datapath": "dead" } } : each)) ?? [];
    await request({ ...mine, path: { index: 1, pathSegments } });
    await settled();
    assert.deepEqual(published, ["UP", "DOWN nsmgr isthmus.datapath=dead", "UP"]);
    await stop();
  });

  it("does not hear the next hop that a reselect leaves, while the new one is asked", async () => {
    const gate = deferred();
    const { request, tail, streams, published, stop } = hop();
    await request();
    await settled();
    const [old] = streams.open;
    tail.request = async () => {
      await gate.promise;
      return connection({}, ["client/c1", "nsmgr/n1", "forwarder/f2"], 1);
    };
    const reselected = request(withoutNextSegments(mine), "tcp://other");
    old?.push(event(DELETE, theirs()));
    await settled();
    gate.resolve();
    await reselected;
    await settled();
    assert.deepEqual(published, ["UP", "UP"]);
    assert.deepEqual(
      streams.open.map(({ url }) => url),
      ["tcp://other"],
    );
    await stop();
  });

  it("follows the connection to another url", async () => {
    const { request, streams, stop } = hop();
    await request();
    await request(mine, "tcp://moved");
    await settled();
    assert.deepEqual(
      streams.open.map(({ url }) => url),
      ["tcp://moved"],
    );
    await stop();
  });

  it("does not take its own close for the next hop's", async () => {
    const { request, handler, streams, published, tail, stop } = hop();
    await request();
    await settled();
    const [open] = streams.open;
    tail.close = async () => {
      open?.push(event(DELETE, theirs()));
      await settled();
    };
    await handler.close(callOf(mine));
    await settled();
    assert.deepEqual(published, ["UP", "DELETED"]);
    assert.equal(streams.open.length, 0);
    await stop();
  });

  it("keeps following when a refresh fails", async () => {
    const { request, tail, streams, say, published, stop } = hop();
    await request();
    await settled();
    tail.request = () => failsWith("kernel", "", Promise.resolve()) as never;
    await assert.rejects(request());
    assert.equal(streams.open.length, 1);
    tail.request = async (call) => call.connection;
    await say(event(DELETE, theirs()));
    assert.equal(published.at(-1), "DOWN nsmgr isthmus.datapath=dead");
    await stop();
  });
});
