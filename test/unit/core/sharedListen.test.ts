import assert from "node:assert/strict";
import type { Connection, ConnectionEvent } from "../../../api/gen/connection/connection.js";
import { MeshError } from "../../../core/error.js";
import { sharedListen } from "../../../core/sharedListen.js";
import { DELETE, DOWN, INITIAL_STATE_TRANSFER, UP, UPDATE } from "../../../core/states.js";
import { connection, FedStreams, settled } from "../../lib/chainKit.js";
import { FakeClock } from "../../lib/fakeClock.js";

const target = "tcp://forwarder";
const types = ["INITIAL", "UPDATE", "DELETE"];
const states = ["UP", "DOWN"];

function theirs(id: string, state = UP): Connection {
  return connection({ state }, ["client/c", `nsmgr/${id}`, `forwarder/f-${id}`], 2);
}

function event(type: ConnectionEvent["type"], ...conns: Connection[]): ConnectionEvent {
  return { type, connections: Object.fromEntries(conns.map((conn) => [conn.id, conn])) };
}

function node() {
  const clock = new FakeClock();
  const streams = new FedStreams();
  const asked: string[] = [];
  const listen = sharedListen((url, { pathSegments }, signal) => {
    asked.push(`${pathSegments[0]?.name}/${pathSegments[0]?.id}`);
    return streams.watch(url, signal);
  }, clock);
  const say = async (...said: Parameters<typeof event>) => {
    streams.open[0]?.push(event(...said));
    await settled();
  };
  return { clock, streams, asked, say, read: (id: string, url = target) => reader(listen, url, id) };
}

/** Someone who reads all that it is told. */
function reader(listen: ReturnType<typeof sharedListen>, url: string, id: string) {
  const heard: string[] = [];
  const listening = listen(
    url,
    { name: "nsmgr", id },
    {
      hear: ({ type, connections }) =>
        heard.push([types[type], ...Object.values(connections).map((conn) => `${conn.id} ${states[conn.state]}`)].join(" ")),
      ended: (error) => heard.push(error === undefined ? "end" : (error as Error).message),
    },
  );
  return {
    heard,
    stop: async () => {
      listening[Symbol.dispose]();
      await settled();
    },
  };
}

describe("the watch that connections share", () => {
  it("opens one stream to a next hop, and tells each reader of its own connection", async () => {
    const { streams, asked, say, read, clock } = node();
    const [a, b] = [read("a"), read("b")];
    await say(INITIAL_STATE_TRANSFER, theirs("a"), theirs("x"));
    await say(UPDATE, theirs("b", DOWN));
    await say(DELETE, theirs("a"));
    assert.deepEqual(asked, ["nsmgr/"]);
    assert.deepEqual(a.heard, ["INITIAL f-a UP", "DELETE f-a UP"]);
    assert.deepEqual(b.heard, ["INITIAL", "UPDATE f-b DOWN"]);
    await Promise.all([a.stop(), b.stop()]);
    await clock.advance(60_000);
    assert.equal(streams.open.length, 0, "nobody reads it any more");
    assert.equal(clock.pending, 0);
  });

  it("tells one who comes later what was said before", async () => {
    const { say, read, streams } = node();
    const first = read("a");
    await say(INITIAL_STATE_TRANSFER, theirs("a"), theirs("b"));
    await say(UPDATE, theirs("c"));
    await say(UPDATE, theirs("c", DOWN));
    const [b, c] = [read("b"), read("c")];
    await settled();
    assert.deepEqual([b.heard, c.heard], [["INITIAL f-b UP"], ["INITIAL f-c DOWN"]]);
    assert.equal(streams.opened, 1);
    await Promise.all([first, b, c].map((each) => each.stop()));
  });

  it("does not remember without end what it is told of connections that nobody reads of", async () => {
    const { say, read, asked, streams, clock } = node();
    const first = read("a");
    const made = Array.from({ length: 5_000 }, (_, at) => theirs(`x${at}`));
    await say(INITIAL_STATE_TRANSFER, theirs("a"), ...made);
    const [early, late] = [read("x0"), read("x4999")];
    await settled();
    assert.deepEqual([early.heard, late.heard], [[], ["INITIAL f-x4999 UP"]]);
    await clock.advance(1000);
    await settled();
    assert.deepEqual(asked, ["nsmgr/", "nsmgr/x0"]);
    streams.open[1]?.push(event(INITIAL_STATE_TRANSFER, theirs("x0")));
    await settled();
    assert.deepEqual(early.heard, ["INITIAL f-x0 UP"]);
    await Promise.all([first, early, late].map((each) => each.stop()));
  });

  it("asks by itself for a connection of which nothing is heard", async () => {
    const { say, read, streams, asked, clock } = node();
    const first = read("a");
    await say(INITIAL_STATE_TRANSFER, theirs("a"));
    const late = read("b");
    await clock.advance(1000);
    await settled();
    assert.deepEqual(asked, ["nsmgr/", "nsmgr/b"]);
    streams.open[1]?.push(event(INITIAL_STATE_TRANSFER));
    await settled();
    assert.deepEqual(late.heard, ["INITIAL"]);
    await Promise.all([first.stop(), late.stop()]);
  });

  it("ends for all when the stream is lost, and begins anew for who asks again", async () => {
    const { say, read, streams } = node();
    const [a, b] = [read("a"), read("b")];
    await say(INITIAL_STATE_TRANSFER, theirs("a"), theirs("b"));
    streams.open[0]?.lose(new MeshError("unreachable", "it is gone"));
    await settled();
    assert.deepEqual([a.heard.at(-1), b.heard.at(-1)], ["it is gone", "it is gone"]);
    const again = read("a");
    await say(INITIAL_STATE_TRANSFER, theirs("a"));
    assert.deepEqual(again.heard, ["INITIAL f-a UP"]);
    assert.equal(streams.opened, 2);
    await again.stop();
  });

  it("gives each its own stream where one list would be too long", async () => {
    const { read, streams, asked } = node();
    const [a, b] = [read("a"), read("b")];
    streams.open[0]?.lose(new MeshError("invalid", "the message is too large"));
    await settled();
    assert.deepEqual(asked, ["nsmgr/", "nsmgr/a", "nsmgr/b"]);
    await Promise.all([a.stop(), b.stop()]);
    assert.equal(streams.open.length, 0);
  });

  it("keeps next hops apart", async () => {
    const { read, streams } = node();
    const [here, there] = [read("a"), read("a", "tcp://other")];
    assert.deepEqual(
      streams.open.map(({ url }) => url),
      [target, "tcp://other"],
    );
    await Promise.all([here.stop(), there.stop()]);
  });
});
