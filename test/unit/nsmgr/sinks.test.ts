import assert from "node:assert/strict";
import { createLog } from "../../../program/log.js";
import { PrometheusMeter } from "../../../program/meter.js";
import { namesOf, patience } from "../../lib/mesh/look.js";
import { Mesh } from "../../lib/mesh.js";
import { metricsIn } from "../../lib/metrics.js";
import { type KeptSpan, keptTracer } from "../../lib/sinks.js";

type Line = Readonly<Record<string, unknown>>;

function captured() {
  const lines: Line[] = [];
  const destination = { write: (line: string) => void lines.push(JSON.parse(line)) };
  return { log: createLog({ name: "mesh", level: "DEBUG", destination }), lines };
}

describe("what a mesh tells of a request", () => {
  it("is in the log under one key at every hop, and found by the id that nsmctl shows", async () => {
    const { log, lines } = captured();
    await using mesh = await Mesh.start({ nodes: 2, log });
    await mesh.node(2).serve("web", "server", { name: "web-1" });
    const { id, connection } = await mesh.node(1).attach("web", "client");
    await mesh.node(1).attach("web", "client");
    await mesh.node(1).client.detach({ id }, patience);
    const found = lines.filter(({ origin }) => origin === id).map(({ msg, connection: hop }) => `${msg} ${hop}`);
    const [, ...hops] = connection?.path?.pathSegments.map((segment) => segment.id) ?? [];
    assert.equal(hops.length, 5);
    assert.deepEqual(found, [...hops.toReversed().map((hop) => `requested ${hop}`), ...hops.toReversed().map((hop) => `closed ${hop}`)]);
    const messages = (hop: unknown) => lines.filter((line) => line.connection === hop).map(({ msg }) => msg);
    assert.deepEqual(messages(id), ["attached", "attachment closing", "attachment closed"]);
    assert.deepEqual(messages(hops[1]), ["endpoint chosen", "requested", "closed"]);
    // An id in any other field would be a line that nobody finds.
    const ids = new Set([id, ...hops]);
    const elsewhere = lines.flatMap((line) =>
      Object.entries(line).filter(([key, value]) => ids.has(String(value)) && key !== "connection"),
    );
    assert.deepEqual([...new Set(elsewhere.map(([key]) => key))], ["origin"]);
  });

  it("is said when it fails, at the hops that it reached", async () => {
    const { log, lines } = captured();
    await using mesh = await Mesh.start({ log });
    await mesh.node(1).serve("web", "server");
    mesh.node(1).forwarder.before = () => {
      throw new Error("no way");
    };
    await assert.rejects(mesh.node(1).attach("web", "client"));
    const failed = lines.filter(({ msg }) => msg === "request failed");
    assert.deepEqual(
      failed.map(({ program, code, reason }) => [program, code, /no way/.test(String(reason))]),
      [
        ["forwarder-node-1", "internal", true],
        ["nsmgr-node-1", "internal", true],
      ],
    );
  });

  it("is one trace of all six hops in order, each with its own id, a close is another", async () => {
    const spans: KeptSpan[] = [];
    const meter = new PrometheusMeter();
    await using mesh = await Mesh.start({ nodes: 2, sinks: (program) => ({ meter, tracer: keptTracer(program, spans) }) });
    await mesh.node(2).serve("web", "server", { name: "web-1" });
    const attachment = await mesh.node(1).attach("web", "client");
    const hops = spans.filter(({ kind }) => kind === "server");
    assert.deepEqual(
      hops.map(({ program, name, attributes }) => `${program} ${name} ${attributes["isthmus.name"]}`),
      [
        "nsmgr-node-1 client request client",
        "nsmgr-node-1 nsmgr request nsmgr-node-1",
        "forwarder-node-1 forwarder request forwarder-node-1",
        "nsmgr-node-2 nsmgr request nsmgr-node-2",
        "forwarder-node-2 forwarder request forwarder-node-2",
        "nsmgr-node-2 endpoint request web-1",
      ],
    );
    assert.deepEqual(
      hops.map(({ attributes }) => attributes["isthmus.name"]),
      namesOf(attachment),
    );
    assert.deepEqual(
      hops.map(({ attributes }) => attributes["isthmus.connection"]),
      attachment.connection?.path?.pathSegments.map(({ id }) => id),
    );
    // Every span's parent is the one before it: each hop's call is a child of the hop, and the next hop of the call.
    assert.deepEqual(
      spans.map(({ parent }) => parent),
      [undefined, ...spans.slice(0, -1).map(({ traceparent }) => traceparent)],
    );
    assert.equal(
      spans.every(({ ended }) => ended),
      true,
    );
    const count = spans.length;
    await mesh.node(1).client.detach({ id: attachment.id }, patience);
    const traces = new Set(spans.slice(count).map(({ traceparent }) => traceparent.split("-")[1]));
    assert.equal(traces.size, 1);
    assert.equal(traces.has(spans[0]?.traceparent.split("-")[1]), false);
  });

  it("is counted at every hop, and the connections that there are", async () => {
    const meter = new PrometheusMeter();
    await using mesh = await Mesh.start({ sinks: () => ({ meter }) });
    await mesh.node(1).serve("web", "server");
    const { id } = await mesh.node(1).attach("web", "client");
    await mesh.node(1).attach("web", "client");
    await mesh.node(1).client.detach({ id }, patience);
    const metrics = metricsIn(await meter.text());
    const values = (name: string) =>
      metrics
        .get(name)
        ?.map(({ labels, value }) => `${Object.values(labels).join(" ")} ${value}`)
        .sort();
    assert.deepEqual(
      values("isthmus_request_duration_seconds_count"),
      ["client", "endpoint", "forwarder", "nsmgr"].flatMap((hop) => [`${hop} close ok 1`, `${hop} request ok 2`]),
    );
    assert.deepEqual(values("isthmus_connections"), ["endpoint down 0", "endpoint up 1", "nsmgr down 0", "nsmgr up 1"]);
    assert.deepEqual(values("isthmus_attachments"), ["up 1"]);
    assert.deepEqual(values("isthmus_served_endpoints"), [" 1"]);
    assert.deepEqual(values("isthmus_registry_reachable"), [" 1"]);
    assert.deepEqual(values("isthmus_registry_entries"), ["endpoint 2", "network service 2"]);
    assert.ok(Number(values("isthmus_registry_watchers")?.[0]?.split(" ").at(-1)) > 0);
    assert.deepEqual(
      [...metrics.values()].flatMap((samples) => samples.filter(({ labels }) => Object.values(labels).includes(id))),
      [],
    );
  });

  it("counts what was healed", async () => {
    const meter = new PrometheusMeter();
    await using mesh = await Mesh.start({ nodes: 3, sinks: () => ({ meter }) });
    await mesh.node(2).serve("web", "server", { name: "web-2" });
    const { id } = await mesh.node(1).attach("web", "client");
    await mesh.node(3).serve("web", "server", { name: "web-3" });
    await mesh.node(2).client.unserve({ name: "web-2" }, patience);
    await mesh.until("it is healed", 5_000, async () => {
      const [attachment] = (await mesh.node(1).client.listAttachments(patience)).filter((one) => one.id === id);
      return attachment?.heals === 1 && attachment.state === "up";
    });
    assert.equal(metricsIn(await meter.text()).get("isthmus_heals_total")?.[0]?.value, 1);
  });
});
