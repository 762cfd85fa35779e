import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { Collector } from "../lib/collector.js";
import type { Finished } from "../lib/command.js";
import { Lab, type Requested } from "../lib/lab.js";
import { bare, pingAll } from "../lib/ping.js";
import { until } from "../lib/until.js";

interface Program {
  readonly node: string;
  readonly program: string;
  readonly metrics: string;
  readonly log: string;
}

type Families = Readonly<
  Record<string, { readonly type: string; readonly samples: readonly [string, Readonly<Record<string, string>>, number][] }>
>;

const reader = join(import.meta.dirname, "../lib/readMetrics.py");

/** Prometheus's own library reads it, or the test fails with what it says. */
function read(text: string): Families {
  const { status, stdout, stderr } = spawnSync("/usr/bin/python3", [reader], { input: text, encoding: "utf8" });
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout) as Families;
}

/** The one value of a metric that has these labels. */
function value(families: Families, family: string, labels: Readonly<Record<string, string>> = {}, suffix = ""): number {
  const samples = families[family]?.samples ?? [];
  const found = samples.filter(
    ([name, own]) => (suffix === "" || name === family + suffix) && Object.entries(labels).every(([key, value]) => own[key] === value),
  );
  assert.equal(found.length, 1, `${family} ${JSON.stringify(labels)}: ${JSON.stringify(samples)}`);
  return found[0]?.[2] ?? Number.NaN;
}

describe("what the programs tell", function () {
  this.timeout(60_000);
  let lab: Lab;
  let programs: readonly Program[];
  const collector = new Collector();
  const nodes = ["paris-1", "tokyo-1"];
  let connection: Requested;
  let failed: Finished;

  const scrape = async (node: string, program: string): Promise<Families> => {
    const url = programs.find((one) => one.node === node && one.program === program)?.metrics ?? "";
    const answer = await lab.get(node, url);
    const [head = "", body = ""] = answer.split("\r\n\r\n");
    assert.match(head, /^HTTP\/1\.1 200 [\s\S]*text\/plain; version=0\.0\.4/);
    return read(body);
  };

  before(async () => {
    Object.assign(process.env, { TELEMETRY: "true", NSM_OPEN_TELEMETRY_ENDPOINT: "127.0.0.1:4317" });
    try {
      lab = await Lab.up("te-sinks", { sites: "paris=1,tokyo=1" });
    } finally {
      for (const name of ["TELEMETRY", "NSM_OPEN_TELEMETRY_ENDPOINT"]) delete process.env[name];
    }
    programs = (await lab.json<{ programs: readonly Program[] }>("lab", "status")).programs.filter(({ metrics }) => metrics !== "");
    for (const node of nodes) await collector.listenIn(lab.netns(node), 4317);
    await Promise.all([lab.pod("client", "paris-1"), lab.pod("server", "tokyo-1")]);
    await lab.serve("tokyo-1", "echo", "server", "172.16.1.0/24");
    connection = await lab.request("paris-1", "echo", "client");
    await pingAll(lab, "client", connection.peerAddresses);
    failed = await lab.tryCtl("--node", "paris-1", "request-connection", "nobody", "--pod", "client", "--timeout", "2s");
  });

  after(async () => {
    await collector[Symbol.asyncDispose]();
    await lab[Symbol.asyncDispose]();
  });

  it("is where lab status says, for every program, and Prometheus's own library reads it", async () => {
    assert.deepEqual(
      programs.map(({ node, program, metrics }) => `${node} ${program} ${metrics}`),
      [
        "paris-1 registry http://127.0.0.1:8083/metrics",
        "paris-1 nsmgr http://127.0.0.1:8082/metrics",
        "paris-1 forwarder http://127.0.0.1:8081/metrics",
        "tokyo-1 registry http://127.0.0.1:8083/metrics",
        "tokyo-1 nsmgr http://127.0.0.1:8082/metrics",
        "tokyo-1 forwarder http://127.0.0.1:8081/metrics",
      ],
    );
    for (const { node, program } of programs) {
      const families = await scrape(node, program);
      assert.ok(value(families, "process_resident_memory_bytes") > 10_000_000);
      const ids = JSON.stringify(families);
      for (const { id } of connection.path) assert.equal(ids.includes(id), false, "no connection's id is a label");
    }
  });

  it("is on loopback only", async () => {
    for (const node of nodes) {
      const listening = await lab.exec(node, "ss", "-Hltn");
      const metrics = listening.split("\n").flatMap((line) => /\s(\S+):(808\d)\s/.exec(line)?.slice(1) ?? []);
      assert.deepEqual([...new Set(metrics.filter((text) => !/^808/.test(text)))], ["127.0.0.1"], listening);
    }
  });

  it("counts connections and requests with their time at every hop", async () => {
    const [nsmgr, forwarder, far] = await Promise.all([
      scrape("paris-1", "nsmgr"),
      scrape("paris-1", "forwarder"),
      scrape("tokyo-1", "nsmgr"),
    ]);
    for (const [families, hop] of [
      [nsmgr, "client"],
      [nsmgr, "nsmgr"],
      [forwarder, "forwarder"],
      [far, "nsmgr"],
      [far, "endpoint"],
    ] as const) {
      const labels = { hop, kind: "request", code: "ok" };
      assert.equal(value(families, "isthmus_request_duration_seconds", labels, "_count"), 1);
      const seconds = value(families, "isthmus_request_duration_seconds", labels, "_sum");
      assert.ok(seconds > 0 && seconds < 10, `${hop}: ${seconds} s`);
      if (hop !== "client") assert.equal(value(families, "isthmus_connections", { hop, state: "up" }), 1);
    }
    assert.equal(value(nsmgr, "isthmus_attachments", { state: "up" }), 1);
    assert.equal(value(nsmgr, "isthmus_heals"), 0);
    assert.equal(value(nsmgr, "isthmus_registry_reachable"), 1);
    assert.equal(value(far, "isthmus_served_endpoints"), 1);
  });

  it("counts what crosses the tunnel, and handshakes, by peer", async () => {
    const before = await scrape("paris-1", "forwarder");
    assert.ok(value(before, "isthmus_tunnel_handshakes") >= 1);
    assert.ok(Math.abs(value(before, "isthmus_tunnel_last_handshake_seconds") - Date.now() / 1000) < 60);
    const [peer] = connection.peerAddresses.map(bare);
    await lab.exec("pod-client", "ping", "-q", "-c", "20", "-i", "0.01", "-s", "1000", peer ?? "");
    const after = await scrape("paris-1", "forwarder");
    for (const way of ["isthmus_tunnel_sent_bytes", "isthmus_tunnel_received_bytes"])
      assert.ok(value(after, way) - value(before, way) > 20_000, `${way}: ${value(before, way)} and ${value(after, way)}`);
  });

  it("shows the registry's store, its watch and who watches", async () => {
    const registry = await scrape("tokyo-1", "registry");
    assert.ok(value(registry, "isthmus_store_operation_duration_seconds", { operation: "commit", code: "ok" }, "_count") >= 2);
    assert.ok(value(registry, "isthmus_store_watch_lag_seconds", { kind: "endpoint" }, "_count") >= 2);
    assert.ok(value(registry, "isthmus_registry_watchers", { kind: "endpoint" }) >= 1);
    assert.equal(value(registry, "isthmus_registry_entries", { kind: "endpoint" }), 2);
    const method = "/registry.NetworkServiceEndpointRegistry/Register";
    assert.ok(value(registry, "isthmus_rpc_duration_seconds", { method, code: "ok" }, "_count") >= 2);
  });

  it("is one trace of a request over six hops, in order, with what took its time", async () => {
    const traces = () =>
      collector.trace(collector.spans.find(({ attributes }) => attributes["isthmus.origin"] === connection.id)?.traceId ?? "");
    await until("all spans have come", 15_000, () => traces().filter(({ kind }) => kind === "server").length === 6);
    const spans = traces();
    const hops = spans.filter(({ kind }) => kind === "server");
    assert.deepEqual(
      hops.map(({ program, name }) => `${program}: ${name}`),
      [
        "nsmgr-paris-1: client request",
        "nsmgr-paris-1: nsmgr request",
        "forwarder-paris-1: forwarder request",
        "nsmgr-tokyo-1: nsmgr request",
        "forwarder-tokyo-1: forwarder request",
        "nsmgr-tokyo-1: endpoint request",
      ],
    );
    assert.deepEqual(
      hops.map(({ attributes }) => attributes["isthmus.connection"]),
      connection.path.map(({ id }) => id),
    );
    const parentOf = (span: (typeof spans)[number]) => spans.find(({ spanId }) => spanId === span.parentId);
    for (const [index, hop] of hops.entries()) {
      const parent = parentOf(hop);
      // The client's hop and its nsmgr are one process; between all others is the call.
      assert.equal(parent?.kind, [undefined, "server"][index] ?? (index === 0 ? undefined : "client"));
      if (index > 0) assert.ok(hop.nanoseconds <= (hops[index - 1]?.nanoseconds ?? 0n), `${hop.name} took longer than who asked for it`);
      assert.equal(hop.error, undefined);
    }
    const parts = spans.filter(({ kind }) => kind === "internal").map(({ program, name }) => `${program}: ${name}`);
    assert.deepEqual(parts.sort(), ["forwarder-paris-1: kernel", "forwarder-paris-1: tunnel", "forwarder-tokyo-1: kernel"]);
  });

  it("tells of a failure at the hop where it happened", async () => {
    assert.notEqual(failed.code, 0);
    await until("the span that failed has come", 10_000, () =>
      collector.spans.some(({ program, attributes }) => program === "forwarder-paris-1" && attributes["isthmus.code"] === "not-found"),
    );
    const labels = { hop: "forwarder", kind: "request", code: "not-found" };
    assert.ok(value(await scrape("paris-1", "forwarder"), "isthmus_request_duration_seconds", labels, "_count") >= 1);
  });
});
