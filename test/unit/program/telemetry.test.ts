import assert from "node:assert/strict";
import { MeshError } from "../../../core/error.js";
import { type Fields, silent } from "../../../core/log.js";
import { systemClock } from "../../../program/clock.js";
import { openTelemetry } from "../../../program/telemetry.js";
import { Collector } from "../../lib/collector.js";

const traceId = "0af7651916cd43dd8448eb211c80319c";
const parts = { serviceName: "nsmgr-paris-1", version: "1.2.3", log: silent, clock: systemClock };

describe("a trace on its way to a collector", () => {
  it("keeps what a span is of, who its parent is, and what it failed with", async () => {
    await using collector = new Collector();
    const { tracer, ...open } = openTelemetry({ ...parts, endpoint: `http://${await collector.listen()}` });
    const parent = { traceparent: `00-${traceId}-b7ad6b7169203331-01`, tracestate: "a=b" };
    const hop = tracer.begin("nsmgr request", { kind: "server", attributes: { "isthmus.connection": "n1", "isthmus.index": 1 } }, parent);
    assert.match(hop.traceparent, new RegExp(`^00-${traceId}-[0-9a-f]{16}-01$`));
    assert.equal(hop.tracestate, "a=b");
    const part = hop.begin?.("kernel", { kind: "internal" });
    part?.end(new MeshError("kernel", "the kernel refused"));
    hop.end();
    await open[Symbol.asyncDispose]();
    const seen = collector.trace(traceId).map(({ program, name, kind, error, attributes }) => ({ program, name, kind, error, attributes }));
    assert.deepEqual(seen, [
      {
        ...{ program: "nsmgr-paris-1", name: "nsmgr request", kind: "server", error: undefined },
        attributes: { "isthmus.connection": "n1", "isthmus.index": 1 },
      },
      {
        ...{ program: "nsmgr-paris-1", name: "kernel", kind: "internal", error: "the kernel refused" },
        attributes: { "isthmus.code": "kernel" },
      },
    ]);
    assert.equal(collector.trace(traceId)[0]?.parentId, "b7ad6b7169203331");
  });

  it("begins anew without a parent, and records nothing of what the caller does not sample", async () => {
    await using collector = new Collector();
    const { tracer, ...open } = openTelemetry({ ...parts, endpoint: `http://${await collector.listen()}` });
    const root = tracer.begin("client request", { kind: "server" }, undefined);
    root.end();
    const quiet = tracer.begin("client request", { kind: "server" }, { traceparent: `00-${traceId}-b7ad6b7169203331-00` });
    assert.match(quiet.traceparent, /-00$/);
    quiet.end();
    await open[Symbol.asyncDispose]();
    assert.deepEqual(
      collector.spans.map(({ parentId }) => parentId),
      [""],
    );
  });

  it("is given up for where nobody collects, which is said", async () => {
    const warnings: string[] = [];
    const log = { ...silent, warn: (event: string, fields?: Fields) => void warnings.push(`${event}: ${fields?.reason}`) };
    const { tracer, ...open } = openTelemetry({ ...parts, log, endpoint: "http://127.0.0.1:1" });
    tracer.begin("client request", { kind: "server" }, undefined).end();
    const start = performance.now();
    await open[Symbol.asyncDispose]();
    assert.ok(performance.now() - start < 3_000);
    assert.match(warnings.join(), /traces not sent: .*ECONNREFUSED 127\.0\.0\.1:1/);
  });
});
