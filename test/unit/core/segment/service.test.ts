import assert from "node:assert/strict";
import { parseSegmentService } from "../../../../core/segment/service.js";

describe("a service of a member", () => {
  it("has a name, and a port where it has one", () => {
    assert.deepEqual(parseSegmentService("http"), { name: "http", at: undefined });
    assert.deepEqual(parseSegmentService("http:8080/tcp"), { name: "http", at: { port: 8080, protocol: "tcp" } });
    assert.deepEqual(parseSegmentService("sip-2:65535/udp"), { name: "sip-2", at: { port: 65_535, protocol: "udp" } });
  });

  for (const text of [
    "",
    "HTTP",
    "a b",
    "a,b",
    "-a",
    "a-",
    "a.b",
    "http:80",
    "http:0/tcp",
    "http:65536/tcp",
    "http:80/sctp",
    "x".repeat(63),
  ])
    it(`is not ${JSON.stringify(text.slice(0, 20))}`, () =>
      assert.throws(() => parseSegmentService(text), { code: "invalid", message: /http:8080\/tcp/ }));
});
