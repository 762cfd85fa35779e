import assert from "node:assert/strict";
import { traceHeaders, traceOf } from "../../../rpc/headers.js";

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

describe("a trace in the metadata of a call", () => {
  it("comes out as it went in", () => {
    for (const trace of [{ traceparent }, { traceparent, tracestate: "congo=t61rcWkgMzE" }])
      assert.deepEqual(traceOf(traceHeaders(trace)), trace);
    assert.deepEqual(traceHeaders(undefined), {});
  });

  const none = [
    "",
    "garbage",
    traceparent.slice(1),
    traceparent.toUpperCase(),
    `ff${traceparent.slice(2)}`,
    `${traceparent}-more`,
    `00-${"0".repeat(32)}-b7ad6b7169203331-01`,
    `00-0af7651916cd43dd8448eb211c80319c-${"0".repeat(16)}-01`,
  ];
  for (const text of none)
    it(`counts as none when it is ${JSON.stringify(text)}`, () =>
      assert.equal(traceOf({ traceparent: text, tracestate: "a=b" }), undefined));

  it("loses a state that is too long, not its place", () => {
    assert.deepEqual(traceOf({ traceparent, tracestate: "x".repeat(513) }), { traceparent });
  });
});
