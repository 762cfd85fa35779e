import assert from "node:assert/strict";
import type { Connection, ConnectionEvent, MonitorScopeSelector } from "../../../api/gen/connection/connection.js";
import { chain } from "../../../core/chain.js";
import { MeshError } from "../../../core/error.js";
import { Monitor } from "../../../core/monitor.js";
import { DOWN, UP } from "../../../core/states.js";
import { selects } from "../../../core/watcher.js";
import { callOf, connection, failsWith, pathText, segment, settled, tailOf } from "../../lib/chainKit.js";

const everything: MonitorScopeSelector = { pathSegments: [], networkServices: [] };
const one = (id: string, client = `c-${id}`) => connection({}, [`client/${client}`, `nsmgr/${id}`], 1);

const types = ["INITIAL", "UPDATE", "DELETE"];
const states = ["UP", "DOWN"];

/** An event as a person writes it: `UPDATE n1 UP`. */
function text({ type, connections }: ConnectionEvent): string {
  const what = Object.entries(connections).map(([key, { id, state }]) => {
    assert.equal(key, id);
    return ` ${id} ${states[state]}`;
  });
  return `${types[type]}${what.join("")}`;
}

/** Reads a stream into `lines` until the signal ends it. */
function reader(monitor: Monitor, selector = everything) {
  const lines: string[] = [];
  const life = new AbortController();
  const done = (async () => {
    for await (const event of monitor.watch(selector, life.signal)) lines.push(text(event));
  })();
  return {
    lines,
    stop: async () => {
      life.abort();
      await done;
    },
  };
}

function hop(answer?: Parameters<typeof tailOf>[0]) {
  const monitor = new Monitor();
  const tail = tailOf(answer);
  const handler = chain([monitor.element], tail);
  return {
    monitor,
    tail,
    request: (conn: Connection) => handler.request(callOf(conn)),
    close: (conn: Connection) => handler.close(callOf(conn)),
  };
}

describe("monitor", () => {
  it("tells a part of this program of its connection alone: what there is first, then the latest", async () => {
    const { monitor, request, close } = hop();
    await request(one("n1"));
    await request(one("n2"));
    const lines: string[] = [];
    const ended = () => assert.fail("a monitor does not end");
    const listening = monitor.listen({ name: "client", id: "c-n1" }, { hear: (event) => lines.push(text(event)), ended });
    assert.deepEqual(lines, [], "nothing is heard before it returns");
    await settled();
    monitor.update({ ...one("n2"), state: DOWN });
    monitor.update({ ...one("n1"), state: DOWN });
    monitor.update({ ...one("n1"), state: UP });
    await settled();
    assert.deepEqual(lines, ["INITIAL n1 UP", "UPDATE n1 UP"]);
    await close(one("n1"));
    await settled();
    monitor.adopt(one("n1"));
    listening[Symbol.dispose]();
    await settled();
    assert.deepEqual(lines, ["INITIAL n1 UP", "UPDATE n1 UP", "DELETE n1 UP"], "what was disposed hears nothing more");
  });

  it("tells a part of this program when there is no such connection", async () => {
    const { monitor } = hop();
    const lines: string[] = [];
    using _listening = monitor.listen({ name: "client", id: "c-n1" }, { hear: (event) => lines.push(text(event)), ended: () => {} });
    await settled();
    assert.deepEqual(lines, ["INITIAL"]);
  });

  it("begins with all there is, also when that is nothing", async () => {
    const { monitor, request } = hop();
    const before = reader(monitor);
    await settled();
    await request(one("n1"));
    await request(one("n2"));
    const after = reader(monitor);
    await settled();
    assert.deepEqual(before.lines, ["INITIAL", "UPDATE n1 UP", "UPDATE n2 UP"]);
    assert.deepEqual(after.lines, ["INITIAL n1 UP n2 UP"]);
    await Promise.all([before.stop(), after.stop()]);
  });

  it("carries its own id and index", async () => {
    const { monitor, request } = hop();
    await request(one("n1"));
    assert.equal(pathText(monitor.get("n1") ?? one("")), "client/c-n1 [nsmgr/n1]");
    assert.equal(monitor.list().length, 1);
  });

  it("tells of a close when it is done, also of one that failed", async () => {
    const { monitor, request, close, tail } = hop();
    const { lines, stop } = reader(monitor);
    await settled();
    const closed = { n1: () => Promise.resolve(), n2: () => Promise.reject(new MeshError("unreachable", "no route")) };
    for (const id of ["n1", "n2"] as const) {
      await request(one(id));
      await settled();
      tail.close = async () => {
        assert.equal(lines.at(-1), `UPDATE ${id} UP`);
        await closed[id]();
      };
      await close(one(id)).catch(() => {});
      await settled();
    }
    await close(one("unknown")).catch(() => {});
    await stop();
    assert.deepEqual(lines, ["INITIAL", "UPDATE n1 UP", "DELETE n1 UP", "UPDATE n2 UP", "DELETE n2 UP"]);
    assert.deepEqual(monitor.list(), []);
  });

  it("tells of a refresh that failed with state DOWN, and of the next that works with UP", async () => {
    let fail = false;
    const { monitor, request } = hop((call) => {
      if (fail) throw new MeshError("unreachable", "gone");
      return call.connection;
    });
    const { lines, stop } = reader(monitor);
    await settled();
    await request(one("n1"));
    await settled();
    fail = true;
    await failsWith("unreachable", "gone", request(one("n1")));
    await settled();
    fail = false;
    await request({ ...one("n1"), state: DOWN });
    await settled();
    await stop();
    assert.deepEqual(lines, ["INITIAL", "UPDATE n1 UP", "UPDATE n1 DOWN", "UPDATE n1 UP"]);
  });

  it("says nothing of a first request that failed, nor of a refresh that its caller gave up", async () => {
    const monitor = new Monitor();
    const handler = chain(
      [monitor.element],
      tailOf(() => Promise.reject(new MeshError("kernel", "no"))),
    );
    await failsWith("kernel", "no", handler.request(callOf(one("n1"))));
    monitor.adopt(one("n2"));
    await failsWith("kernel", "no", handler.request(callOf(one("n2"), { signal: AbortSignal.abort() })));
    assert.equal(monitor.get("n1"), undefined);
    assert.equal(monitor.get("n2")?.state, UP);
  });

  it("publishes what changed of a known connection only", async () => {
    const { monitor, request } = hop();
    await request(one("n1"));
    const { lines, stop } = reader(monitor);
    await settled();
    monitor.update({ ...one("n1"), state: DOWN });
    monitor.update({ ...one("n9"), state: DOWN });
    await settled();
    await stop();
    assert.deepEqual(lines, ["INITIAL n1 UP", "UPDATE n1 DOWN"]);
  });

  it("gives a slow reader the latest of each connection, and no more than that", async () => {
    const { monitor, request, close } = hop();
    const life = new AbortController();
    const events = monitor.watch(everything, life.signal)[Symbol.asyncIterator]();
    await events.next();
    for (let i = 0; i < 100; i++) {
      await request(one("n1"));
      monitor.update({ ...one("n1"), state: i % 2 === 0 ? DOWN : UP });
    }
    await request(one("n2"));
    await close(one("n1"));
    const read: string[] = [];
    for (let i = 0; i < 2; i++) {
      const { value } = await events.next();
      read.push(text(value));
    }
    assert.deepEqual(read, ["DELETE n1 UP", "UPDATE n2 UP"]);
    life.abort();
    assert.equal((await events.next()).done, true);
  });

  it("gives each watcher what its selector lets through", async () => {
    const { monitor, request, close } = hop();
    const mine = reader(monitor, { pathSegments: [segment("client/c-n1")], networkServices: [] });
    const named = reader(monitor, { pathSegments: [segment("client/")], networkServices: [] });
    const served = reader(monitor, { pathSegments: [], networkServices: ["other"] });
    await settled();
    await request(one("n1"));
    await request(one("n2"));
    await settled();
    await close(one("n1"));
    await settled();
    await Promise.all([mine.stop(), named.stop(), served.stop()]);
    assert.deepEqual(mine.lines, ["INITIAL", "UPDATE n1 UP", "DELETE n1 UP"]);
    assert.deepEqual(named.lines, ["INITIAL", "UPDATE n1 UP", "UPDATE n2 UP", "DELETE n1 UP"]);
    assert.deepEqual(served.lines, ["INITIAL"]);
  });

  it("finds a watcher of one connection also when the path behind it changed", async () => {
    const { monitor, request } = hop();
    await request(connection({}, ["client/c1", "nsmgr/n1", "forwarder/f1"], 1));
    await request(connection({}, ["client/c1", "nsmgr/n1", "forwarder/f2"], 1));
    const old = reader(monitor, { pathSegments: [segment("forwarder/f1")], networkServices: [] });
    const now = reader(monitor, { pathSegments: [segment("forwarder/f2")], networkServices: [] });
    await settled();
    await Promise.all([old.stop(), now.stop()]);
    assert.deepEqual(old.lines, ["INITIAL"]);
    assert.deepEqual(now.lines, ["INITIAL n1 UP"]);
  });

  it("ends with the signal, also one that has ended already", async () => {
    const { monitor } = hop();
    const lines: string[] = [];
    for await (const event of monitor.watch(everything, AbortSignal.abort())) lines.push(text(event));
    assert.deepEqual(lines, ["INITIAL"]);
  });

  it("asks only those about a change who may care", async () => {
    const monitor = new Monitor();
    let asked = 0;
    const counted = (i: number): MonitorScopeSelector => ({
      pathSegments: [segment(`client/c-n${i}`)],
      get networkServices() {
        asked++;
        return [];
      },
    });
    const readers = Array.from({ length: 100 }, (_, i) => reader(monitor, counted(i)));
    await settled();
    assert.equal(asked, 0, "there is no connection yet");
    for (let i = 0; i < 100; i++) monitor.adopt(one(`n${i}`));
    await settled();
    assert.equal(asked, 100);
    assert.ok(readers.every(({ lines }) => lines.length === 2));
    await Promise.all(readers.map(({ stop }) => stop()));
  });
});

describe("selects", () => {
  const conn = connection({ networkService: "intranet" }, [segment("client/c1", { token: "t1" }), "nsmgr/n1", "forwarder/f1"], 1);
  const path = (...segments: string[]): MonitorScopeSelector => ({
    pathSegments: segments.map((each) => segment(each)),
    networkServices: [],
  });
  const cases: [string, boolean, MonitorScopeSelector][] = [
    ["nothing asked", true, everything],
    ["one segment", true, path("nsmgr/n1")],
    ["a name alone", true, path("nsmgr/")],
    ["an id alone", true, path("/f1")],
    ["a run in the middle", true, path("nsmgr/n1", "forwarder/")],
    ["the whole path", true, path("client/c1", "nsmgr/n1", "forwarder/f1")],
    ["segments with a gap", false, path("client/c1", "forwarder/f1")],
    ["segments in another order", false, path("nsmgr/n1", "client/c1")],
    ["more segments than there are", false, path("forwarder/f1", "")],
    ["another id", false, path("nsmgr/n2")],
    ["its token", true, { pathSegments: [segment("client/c1", { token: "t1" })], networkServices: [] }],
    ["another token", false, { pathSegments: [segment("client/c1", { token: "t2" })], networkServices: [] }],
    ["one of several services", true, { pathSegments: [], networkServices: ["other", "intranet"] }],
    ["another service", false, { pathSegments: [segment("nsmgr/n1")], networkServices: ["other"] }],
  ];
  for (const [what, expected, selector] of cases)
    it(`${expected ? "lets through" : "keeps out"}: ${what}`, () => assert.equal(selects(selector, conn), expected));

  it("finds nothing in a connection without a path", () => {
    assert.equal(selects(path("nsmgr/"), connection()), false);
  });
});
