import assert from "node:assert/strict";
import { chain, type Handler } from "../../../core/chain.js";
import { MeshError } from "../../../core/error.js";
import type { Log } from "../../../core/log.js";
import { silent } from "../../../core/log.js";
import { observed } from "../../../core/observed.js";
import { inPart, type Trace } from "../../../core/trace.js";
import { callOf, connection } from "../../lib/chainKit.js";
import { FakeClock } from "../../lib/fakeClock.js";
import { KeptMeter, type KeptSpan, keptTracer } from "../../lib/sinks.js";

const conn = connection({}, ["client/c1", "nsmgr/n1"], 1);

/** A hop whose rest takes 20 ms, and fails with `error`. */
function world(error?: Error, tracing = true) {
  const clock = new FakeClock();
  const meter = new KeptMeter();
  const spans: KeptSpan[] = [];
  const lines: [string, string, unknown][] = [];
  const keep = (level: string) => (event: string, fields?: unknown) => void lines.push([level, event, fields]);
  const log: Log = { ...silent, debug: keep("debug"), info: keep("info") };
  const traces: (Trace | undefined)[] = [];
  const rest = async (trace: Trace | undefined) => {
    traces.push(trace);
    await clock.advance(20);
    if (error !== undefined) throw error;
  };
  const tail: Handler = {
    request: async (call) => {
      await rest(call.trace);
      return call.connection;
    },
    close: (call) => rest(call.trace),
  };
  const sinks = tracing ? { meter, tracer: keptTracer("nsmgr", spans) } : { meter };
  return { hop: chain([observed({ sinks, hop: "nsmgr", clock, log })], tail), meter, spans, lines, traces };
}

describe("observed", () => {
  it("times a request, a refresh and a close, each as what it is", async () => {
    const { hop, meter } = world();
    await hop.request(callOf(conn));
    await hop.request(callOf(conn, { established: true }));
    await hop.close(callOf(conn));
    assert.deepEqual(meter.told, [
      "isthmus_request_duration_seconds{hop=nsmgr,kind=request,code=ok} 0.02",
      "isthmus_request_duration_seconds{hop=nsmgr,kind=refresh,code=ok} 0.02",
      "isthmus_request_duration_seconds{hop=nsmgr,kind=close,code=ok} 0.02",
    ]);
  });

  it("tells the code of what failed, in all three places, and passes the error on", async () => {
    const error = new MeshError("no-endpoint", "nobody serves intranet");
    const { hop, meter, spans, lines } = world(error);
    await assert.rejects(hop.request(callOf(conn)), error);
    assert.deepEqual(meter.told, ["isthmus_request_duration_seconds{hop=nsmgr,kind=request,code=no-endpoint} 0.02"]);
    assert.equal(spans[0]?.error, error);
    const trace = `${"0".repeat(31)}1`;
    const fields = { connection: "n1", origin: "c1", service: "intranet", trace, ms: 20, code: "no-endpoint", reason: error.message };
    assert.deepEqual(lines, [["info", "request failed", fields]]);
  });

  it("says a refresh that works only to who listens closely", async () => {
    const { hop, lines } = world();
    await hop.request(callOf(conn));
    await hop.request(callOf(conn, { established: true }));
    assert.deepEqual(
      lines.map(([level, event]) => `${level} ${event}`),
      ["info requested", "debug refreshed"],
    );
  });

  it("goes on with the caller's trace, and hands its own span on", async () => {
    const { hop, spans, traces } = world();
    const parent = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
    await hop.request(callOf(conn, { trace: { traceparent: parent } }));
    assert.equal(spans[0]?.parent, parent);
    assert.deepEqual([spans[0]?.ended, spans[0]?.attributes["isthmus.connection"], spans[0]?.attributes["isthmus.index"]], [true, "n1", 1]);
    assert.equal(traces[0]?.traceparent, spans[0]?.traceparent);
  });

  it("passes the caller's trace on as it came where this hop traces nothing", async () => {
    const { hop, traces } = world(undefined, false);
    const trace = { traceparent: `00-${"a".repeat(32)}-${"b".repeat(16)}-01` };
    await hop.request(callOf(conn, { trace }));
    await hop.request(callOf(conn));
    assert.deepEqual(traces, [trace, undefined]);
  });
});

describe("a part of a trace", () => {
  it("ends with its work, also with work that fails", async () => {
    const spans: KeptSpan[] = [];
    const root = keptTracer("a", spans).begin("root", { kind: "server" }, undefined);
    assert.equal(await inPart(root, "kernel", async (trace) => trace?.traceparent), spans[1]?.traceparent);
    const error = new Error("no");
    await assert.rejects(
      inPart(root, "kernel", async () => {
        throw error;
      }),
      error,
    );
    assert.deepEqual(
      spans.slice(1).map(({ parent, ended, error: failure }) => [parent, ended, failure]),
      [
        [root.traceparent, true, undefined],
        [root.traceparent, true, error],
      ],
    );
  });

  it("is just the work where nobody traces", async () => {
    assert.equal(await inPart(undefined, "kernel", async (trace) => trace), undefined);
    const passedOn = { traceparent: "x" };
    assert.equal(await inPart(passedOn, "kernel", async (trace) => trace), passedOn);
  });
});
