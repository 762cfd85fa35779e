import assert from "node:assert/strict";
import { Connection } from "../../../api/gen/connection/connection.js";
import { lean } from "../../../rpc/lean.js";
import { shared } from "../../../rpc/sharedStrings.js";

describe("a decoded message", () => {
  const whole = Connection.fromPartial({
    id: "c1",
    labels: { app: "web" },
    context: { ipContext: { srcIpAddrs: ["172.16.1.1/32"], srcRoutes: [{ prefix: "10.0.0.0/8" }] } },
    path: { index: 0, pathSegments: [{ id: "c1", name: "client", metrics: { a: "b" } }] },
  });

  it("loses nothing when it is made lean", () => {
    const bytes = Connection.encode(whole).finish();
    const message = Connection.decode(bytes);
    lean(message);
    assert.deepEqual(Connection.encode(message).finish(), bytes);
    assert.equal(message._unknownFields, undefined);
    assert.equal(message.path?.pathSegments[0]?._unknownFields, undefined);
    assert.equal(message.context?.ipContext?.srcRoutes[0]?._unknownFields, undefined);
  });

  it("keeps the fields that we do not know, at every depth", () => {
    const unknown = { 802: [Uint8Array.of(1, 2)] };
    const message = { ...whole, _unknownFields: unknown, path: { index: 0, pathSegments: [], _unknownFields: unknown } };
    const bytes = Connection.encode(message).finish();
    const read = Connection.decode(bytes);
    lean(read);
    assert.deepEqual(Connection.encode(read).finish(), bytes);
  });
});

describe("shared texts", () => {
  it("are the same text, short or long, however many come in between", () => {
    for (const text of ["", "nsmgr-paris-1", "é".repeat(100), "x".repeat(5000)]) assert.equal(shared(text), text);
    shared("kept");
    for (let n = 0; n < 10_000; n++) assert.equal(shared(`other ${n}`), `other ${n}`);
    assert.equal(shared("kept"), "kept");
  });
});
