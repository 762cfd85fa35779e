import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { silent } from "../../../core/log.js";
import { PrometheusMeter } from "../../../program/meter.js";
import { serveMetrics } from "../../../program/metricsServer.js";
import { collector, optionalHostPort } from "../../../program/values.js";
import { metricsIn } from "../../lib/metrics.js";

describe("the meter", () => {
  it("counts and times, by labels, and the same name is the same metric", async () => {
    const meter = new PrometheusMeter();
    for (const code of ["ok", "ok", "denied"]) {
      meter.counter("done_total", "What was done", ["code"])({ code });
      meter.timer("took_seconds", "How long it took", ["code"])(0.02, { code });
    }
    const metrics = metricsIn(await meter.text());
    const byCode = (name: string) => metrics.get(name)?.map(({ labels, value }) => [labels.code, value]);
    assert.deepEqual(byCode("done_total"), [
      ["ok", 2],
      ["denied", 1],
    ]);
    assert.deepEqual(byCode("took_seconds_count"), byCode("done_total"));
    assert.match(await meter.text(), /took_seconds_bucket\{le="0.025",code="ok"\} 2/);
    assert.match(await meter.text(), /took_seconds_bucket\{le="0.01",code="ok"\} 0/);
  });

  it("looks when it is asked, not before, each time anew, and puts looks of one name together", async () => {
    const meter = new PrometheusMeter();
    let looks = 0;
    let hops = ["nsmgr"];
    meter.gauge("connections", "How many", ["hop"], () => {
      looks++;
      return hops.map((hop) => [{ hop }, 7]);
    });
    meter.gauge("connections", "How many", ["hop"], async () => [[{ hop: "endpoint" }, 3]]);
    meter.total("bytes_total", "How much", [], () => [[{}, 1e15]]);
    assert.equal(looks, 0);
    const values = async () =>
      metricsIn(await meter.text())
        .get("connections")
        ?.map(({ labels, value }) => `${labels.hop} ${value}`);
    assert.deepEqual(await values(), ["nsmgr 7", "endpoint 3"]);
    hops = [];
    assert.deepEqual(await values(), ["endpoint 3"]);
    assert.equal(looks, 2);
    assert.match(await meter.text(), /^# TYPE bytes_total counter\nbytes_total 1000000000000000$/m);
  });
});

describe("the server of metrics", () => {
  const free = async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    return { server, port };
  };

  it("shows them at /metrics and nothing else", async () => {
    const { server, port } = await free();
    server.close();
    await once(server, "close");
    const meter = new PrometheusMeter();
    meter.counter("done_total", "What was done", [])({});
    await using _served = await serveMetrics(meter, { host: "127.0.0.1", port, text: "" }, silent);
    const answer = await fetch(`http://127.0.0.1:${port}/metrics`);
    assert.match(answer.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
    assert.equal(metricsIn(await answer.text()).get("done_total")?.[0]?.value, 1);
    for (const [method, path] of [
      ["GET", "/"],
      ["POST", "/metrics"],
    ] as const)
      assert.equal((await fetch(`http://127.0.0.1:${port}${path}`, { method })).status, 404);
  });

  it("says that its address is taken, and that is all", async () => {
    const { server, port } = await free();
    const warnings: unknown[] = [];
    const log = { ...silent, warn: (event: string, fields?: unknown) => void warnings.push([event, fields]) };
    const at = { host: "127.0.0.1", port, text: `127.0.0.1:${port}` };
    await using _served = await serveMetrics(new PrometheusMeter(), at, log);
    const reason = `listen EADDRINUSE: address already in use 127.0.0.1:${port}`;
    assert.deepEqual(warnings, [["metrics not served", { address: at.text, reason }]]);
    server.close();
  });

  it("answers 500 and says why where a look fails", async () => {
    const { server, port } = await free();
    server.close();
    await once(server, "close");
    const meter = new PrometheusMeter();
    meter.gauge("broken", "Always", [], () => Promise.reject(new Error("no WireGuard")));
    const warnings: unknown[] = [];
    const log = { ...silent, warn: (event: string, fields?: unknown) => void warnings.push([event, fields]) };
    await using _served = await serveMetrics(meter, { host: "127.0.0.1", port, text: "" }, log);
    assert.equal((await fetch(`http://127.0.0.1:${port}/metrics`)).status, 500);
    assert.deepEqual(warnings, [["metrics not read", { reason: "no WireGuard" }]]);
  });
});

describe("where metrics and traces go", () => {
  it("is a host and a port, or off", () => {
    const read = (text: string) => optionalHostPort.parse(text);
    assert.deepEqual(read("127.0.0.1:8081"), { host: "127.0.0.1", port: 8081, text: "127.0.0.1:8081" });
    assert.deepEqual(read("[::1]:0"), { host: "::1", port: 0, text: "[::1]:0" });
    assert.deepEqual(read(":8081"), { host: "", port: 8081, text: ":8081" });
    assert.equal(read("off"), undefined);
    for (const wrong of ["", "127.0.0.1", "::1:8081", "localhost:65536", "http://127.0.0.1:1", "a b:1"])
      assert.equal(optionalHostPort.safeParse(wrong).success, false, wrong);
  });

  it("is a collector without TLS unless https is asked for, or left to OpenTelemetry", () => {
    assert.equal(
      collector.parse("otel-collector.observability.svc.cluster.local:4317"),
      "http://otel-collector.observability.svc.cluster.local:4317",
    );
    assert.equal(collector.parse("https://[::1]:4317"), "https://[::1]:4317");
    assert.equal(collector.parse(""), "");
    for (const wrong of ["localhost", "ftp://a:1", "http://a:1/path", "http://user@a:1"])
      assert.equal(collector.safeParse(wrong).success, false, wrong);
  });
});
