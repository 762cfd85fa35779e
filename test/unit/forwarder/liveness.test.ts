import assert from "node:assert/strict";
import { Connection } from "../../../api/gen/connection/connection.js";
import { end } from "../../../core/chain.js";
import { silent } from "../../../core/log.js";
import { DOWN } from "../../../core/states.js";
import type { CrossConnect } from "../../../forwarder/crossConnect.js";
import { Liveness } from "../../../forwarder/liveness.js";
import { deviceOf } from "../../../forwarder/names.js";
import type { Wanted } from "../../../forwarder/wanted.js";
import type { Counters } from "../../../kernel/model.js";
import { FakeClock } from "../../lib/fakeClock.js";

type Entry = NonNullable<ReturnType<Wanted["get"]>>;

const mechanism = { cls: "", type: "", parameters: {} };

function connectOf(id: string, peer: string): CrossConnect {
  return {
    ...{ id, payload: "IP", mtu: 0 },
    addresses: { src: ["10.0.0.1/32"], dst: ["10.0.0.0/32"], srcRoutes: [], dstRoutes: [], neighbours: [] },
    client: { kind: "kernel", mechanism, pod: { path: `/${id}`, cookie: id }, name: "nsm0" },
    endpoint: { kind: "node-tunnel", mechanism, vni: 1, peerVni: 2, peer },
  };
}

/** Connections to peers, of which some answer. */
class Bench {
  readonly clock = new FakeClock();
  readonly published: string[] = [];
  readonly received = new Map<string, number>();
  readonly silentPeers = new Set<string>();
  pings = 0;
  readonly connects = new Map<string, CrossConnect>();
  readonly liveness = new Liveness({
    kernel: {
      counters: async (devices) => new Map(devices.map((device) => [device, { rxPackets: this.received.get(device) ?? 0 } as Counters])),
    },
    ping: async (pod) => {
      this.pings++;
      const { endpoint } = this.connects.get(pod.cookie) ?? assert.fail();
      if (endpoint.kind !== "node-tunnel" || !this.silentPeers.has(endpoint.peer)) return true;
      await this.clock.sleep(1000, new AbortController().signal);
      return false;
    },
    wanted: { get: (id) => ({ connect: this.connects.get(id) ?? assert.fail() }) as Entry },
    monitor: {
      get: (id) => Connection.fromPartial({ id, path: { index: 0, pathSegments: [{ id, metrics: {} }] } }),
      update: ({ id, state, path }) => {
        const datapath = path?.pathSegments[0]?.metrics["isthmus.datapath"];
        this.published.push(`${id} ${datapath} ${state === DOWN ? "DOWN" : "UP"} at ${this.clock.monotonic()}`);
      },
    },
    clock: this.clock,
    log: silent,
  });

  add(id: string, peer = "fd00::2"): void {
    const connect = connectOf(id, peer);
    this.connects.set(id, connect);
    assert.ok(this.liveness.add(connect));
  }
}

describe("forwarder: data path", () => {
  it("is dead 1 s after a ping without an answer, and alive with the first that has one", async () => {
    const bench = new Bench();
    using _ = bench.liveness;
    bench.add("a");
    await bench.clock.advance(2000);
    assert.deepEqual(bench.published, []);
    bench.silentPeers.add("fd00::2");
    await bench.clock.advance(2000);
    assert.deepEqual(bench.published, ["a dead DOWN at 3250"]);
    bench.silentPeers.clear();
    await bench.clock.advance(2000);
    assert.match(bench.published[1] ?? "", /^a alive UP/);
  });

  it("is asked for as soon as its request is answered, so that one that dies young is found dead", async () => {
    const bench = new Bench();
    using _ = bench.liveness;
    bench.connects.set("a", connectOf("a", "fd00::2"));
    const connection = Connection.fromPartial({ id: "a", path: { index: 0, pathSegments: [{ id: "a", metrics: {} }] } });
    const call = { connection, preferences: [], signal: new AbortController().signal };
    await bench.liveness.element.request?.(call, end);
    await bench.clock.advance(10);
    assert.equal(bench.pings, 1);
    bench.silentPeers.add("fd00::2");
    await bench.clock.advance(2000);
    assert.deepEqual(bench.published, ["a dead DOWN at 1750"]);
  });

  it("is not asked for while traffic comes in", async () => {
    const bench = new Bench();
    using _ = bench.liveness;
    bench.add("a");
    await bench.clock.advance(1000);
    const before = bench.pings;
    const device = deviceOf("a", "endpoint", { kind: "node-tunnel" });
    for (let n = 1; n <= 20; n++) {
      bench.received.set(device, n * 10);
      await bench.clock.advance(250);
    }
    assert.equal(bench.pings, before);
  });

  it("says nothing of a pod that never answered", async () => {
    const bench = new Bench();
    using _ = bench.liveness;
    bench.silentPeers.add("fd00::2");
    bench.add("a");
    await bench.clock.advance(5000);
    assert.deepEqual(bench.published, []);
  });

  it("stays cheap with thousands that are idle, and finds all behind a node that died", async () => {
    const bench = new Bench();
    using _ = bench.liveness;
    for (let n = 0; n < 1000; n++) bench.add(`c${n}`, n < 50 ? "fd00::dead" : "fd00::2");
    await bench.clock.advance(5_250); // all new ones have had their first turn
    const first = bench.pings;
    await bench.clock.advance(10_000);
    assert.ok(bench.pings - first <= 14 * 40, `${bench.pings - first} pings in 10 s`);
    bench.silentPeers.add("fd00::dead");
    const start = bench.clock.monotonic();
    await bench.clock.advance(12_000);
    assert.equal(bench.published.length, 50);
    const times = bench.published.map((line) => Number(line.split(" at ")[1]) - start);
    assert.ok(Math.max(...times) <= 3500, `from ${Math.min(...times)} to ${Math.max(...times)} ms`);
  });

  it("looks at once when the next hop has trouble", async () => {
    const bench = new Bench();
    using _ = bench.liveness;
    bench.add("a");
    const conn = Connection.fromPartial({ id: "a", path: { index: 0, pathSegments: [{ id: "a", metrics: {} }] } });
    const said = async (reason: "deleted" | "down" | "lost") => {
      const looked = bench.liveness.onDown(conn, reason);
      await bench.clock.advance(1000);
      return (await looked).path?.pathSegments[0]?.metrics["isthmus.datapath"];
    };
    assert.equal(await said("lost"), "alive");
    assert.equal(await said("deleted"), "dead");
    bench.silentPeers.add("fd00::2");
    assert.equal(await said("down"), "dead");
  });
});
