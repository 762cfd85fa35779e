import assert from "node:assert/strict";
import { Connection, ConnectionEvent, MonitorScopeSelector } from "../../../api/gen/connection/connection.js";
import { NetworkServiceRequest } from "../../../api/gen/networkservice/networkservice.js";
import { Monitor } from "../../../core/monitor.js";
import { UPDATE } from "../../../core/states.js";
import { answering } from "../../../rpc/answering.js";
import type { Answering, Incoming } from "../../../rpc/transport.js";

const incoming: Incoming = { signal: new AbortController().signal, headers: {}, link: undefined, key: undefined, sendHeaders: () => {} };

function named<K extends Answering["kind"]>(methods: readonly Answering[], kind: K, end: string): Answering & { readonly kind: K } {
  const found = methods.find((method) => method.kind === kind && method.path.endsWith(end));
  assert.ok(found);
  return found as Answering & { readonly kind: K };
}

describe("answering", () => {
  it("gives a request its answer before monitors are told of it, however many elements the answer still passes", async () => {
    const monitor = new Monitor();
    const request = async ({ connection }: { readonly connection: Connection }) => {
      monitor.adopt(connection);
      for (let element = 0; element < 50; element++) await Promise.resolve();
      return connection;
    };
    const methods = answering({ networkService: { request, close: async () => {} }, monitor });
    const selector = MonitorScopeSelector.encode(MonitorScopeSelector.fromPartial({})).finish();
    const events = named(methods, "stream", "MonitorConnections").answer(selector, incoming)[Symbol.asyncIterator]();
    await events.next();
    const order: string[] = [];
    const told = events.next().then(({ value }) => order.push(`event ${ConnectionEvent.decode(value).type}`));
    const asked = NetworkServiceRequest.fromPartial({ connection: Connection.fromPartial({ id: "a" }) });
    await named(methods, "unary", "Request").answer(NetworkServiceRequest.encode(asked).finish(), incoming);
    order.push("answer");
    await told;
    assert.deepEqual(order, ["answer", `event ${UPDATE}`]);
    await events.return?.(undefined);
  });
});
