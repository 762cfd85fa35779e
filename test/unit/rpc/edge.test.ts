import assert from "node:assert/strict";
import { status } from "@grpc/grpc-js";
import { MeshError } from "../../../core/error.js";
import { callerOf, pathHeaders, pathOf, tokenHeaders } from "../../../rpc/headers.js";
import { timeLimit, until } from "../../../rpc/signals.js";
import { fromWire, toWire } from "../../../rpc/status.js";
import { formatUrl, grpcTarget, parseUrl } from "../../../rpc/url.js";
import { FakeClock } from "../../lib/fakeClock.js";

describe("an address", () => {
  const good: [string, string][] = [
    ["unix:///run/isthmus/nsmgr.sock", "unix:/run/isthmus/nsmgr.sock"],
    ["tcp://10.0.0.1:5001", "10.0.0.1:5001"],
    ["tcp://registry.mesh:5002", "registry.mesh:5002"],
    ["tcp://[2001:db8::1]:5001", "[2001:db8::1]:5001"],
    ["tcp://:5002", "[::]:5002"],
    ["tcp://127.0.0.1:0", "127.0.0.1:0"],
    ["tcp://tokyo.example@10.0.0.1:5001", "10.0.0.1:5001"],
    ["tcp://10.0.0.1:5001?external=198.51.100.1:443", "10.0.0.1:5001"],
    ["tcp://[fd00::1]:5001?external=[2001:db8::1]:5001", "[fd00::1]:5001"],
  ];
  for (const [url, target] of good)
    it(`${url} is ${target} for gRPC, and itself again`, () => {
      assert.equal(grpcTarget(parseUrl(url)), target);
      assert.equal(formatUrl(parseUrl(url)), url);
    });

  const bad = [
    "",
    "10.0.0.1:5001",
    "http://a:1",
    "tcp://a",
    "tcp://a:",
    "tcp://a:65536",
    "tcp://[::g]:1",
    "tcp://::1:5001",
    "tcp://a/b:1",
    "tcp://A@b:1",
    "tcp://a:1?other=b:1",
  ];
  for (const url of [...bad, "unix://relative", `unix:///${"x".repeat(107)}`, "unix:///a\0b", "inode://4/77"])
    it(`${JSON.stringify(url.slice(0, 40))} is none`, () => assert.throws(() => parseUrl(url), { code: "invalid" }));
});

describe("the metadata of a call", () => {
  it("carries a token and when it ends", () => {
    const token = { token: "a.b.c", expires: 1_900_000_000_123 };
    assert.deepEqual(tokenHeaders(token), { "nsm-client-token": "a.b.c", "nsm-client-token-expires": "2030-03-17T17:46:40.123Z" });
    assert.deepEqual(callerOf(tokenHeaders(token)), token);
    assert.equal(callerOf({}), undefined);
  });

  it("takes the times that Go writes", () => {
    const expires = (text: string) => callerOf({ "nsm-client-token": "t", "nsm-client-token-expires": text })?.expires;
    assert.equal(expires("2030-03-17T17:46:40Z"), 1_900_000_000_000);
    assert.equal(expires("2030-03-17T19:46:40.123456789+02:00"), 1_900_000_000_123);
    for (const text of ["", "2030-03-17", "1900000000", "2030-13-17T17:46:40Z"]) assert.throws(() => expires(text), { code: "invalid" });
    assert.throws(() => callerOf({ "nsm-client-token": "x".repeat(8193) }), { code: "invalid" });
  });

  it("carries a registration's path as Go's JSON", () => {
    const path = { index: 1, tokens: ["t0", "t1 ü"] };
    assert.deepEqual(pathHeaders(path), { path: '{"Index":1,"PathSegments":[{"token":"t0"},{"token":"t1 \\u00fc"}]}' });
    assert.deepEqual(pathOf(pathHeaders(path)), path);
    assert.deepEqual([pathHeaders(undefined), pathOf({})], [{}, undefined]);
    assert.deepEqual(pathOf({ path: '{"PathSegments":null}' }), { index: 0, tokens: [] });
  });

  const many = JSON.stringify({ Index: 0, PathSegments: Array.from({ length: 65 }, () => ({ token: "" })) });
  for (const path of ["", "{", '{"Index":1,"PathSegments":[{}]}', '{"Index":-1}', '{"PathSegments":[{"token":7}]}', many])
    it(`refuses the path ${path.slice(0, 40)}`, () => assert.throws(() => pathOf({ path }), { code: "invalid" }));
});

describe("an error on the wire", () => {
  it("is a status that strangers understand", () => {
    assert.equal(toWire(new MeshError("no-endpoint", "x"), "h").code, status.NOT_FOUND);
    assert.equal(toWire(new MeshError("denied", "x"), "h").code, status.PERMISSION_DENIED);
    assert.equal(toWire(new Error("x"), "h").code, status.INTERNAL);
  });

  it("keeps its own code between our programs, even where strangers see the same", () => {
    for (const code of ["no-mechanism", "netns-gone", "moved", "kernel", "internal", "unreachable", "no-forwarder"] as const)
      assert.equal(fromWire(toWire(new MeshError(code, "x"), "h"), "tcp://a:1").code, code);
  });

  const foreign: [status, string, string, string][] = [
    [status.UNAVAILABLE, "Connection dropped", "unreachable", "nothing answers at tcp://a:1: Connection dropped; is it running?"],
    [status.DEADLINE_EXCEEDED, "", "timeout", "tcp://a:1 did not answer in time"],
    [status.UNIMPLEMENTED, "no method", "unsupported", "tcp://a:1 does not offer this: no method"],
    [status.CANCELLED, "stream removed", "unreachable", "tcp://a:1 broke the call off: stream removed"],
    [status.PERMISSION_DENIED, "no sufficient privileges", "denied", "tcp://a:1 answered: no sufficient privileges"],
    [
      status.RESOURCE_EXHAUSTED,
      "Received message larger than max",
      "invalid",
      "the message is too large for tcp://a:1: Received message larger than max",
    ],
    [status.UNKNOWN, "candidates not found", "internal", "tcp://a:1 answered: candidates not found"],
  ];
  for (const [code, details, ours, message] of foreign)
    it(`${status[code]} of a stranger is ${ours}`, () => {
      const error = fromWire({ code, details, trailers: { "isthmus-code": "made-up" } }, "tcp://a:1");
      assert.deepEqual([error.code, error.message, error.hop], [ours, message, undefined]);
    });
});

describe("a signal with a time limit", () => {
  it("ends as a timeout, or with its parent, and leaves no timer", async () => {
    const clock = new FakeClock();
    const parent = new AbortController();
    const first = timeLimit(clock, 100, parent.signal);
    await clock.advance(100);
    assert.equal((first.signal.reason as MeshError).code, "timeout");
    const second = timeLimit(clock, 100, parent.signal);
    parent.abort(new MeshError("cancelled", "enough"));
    assert.equal((second.signal.reason as MeshError).message, "enough");
    second[Symbol.dispose]();
    first[Symbol.dispose]();
    assert.equal(clock.pending, 0);
  });
});

describe("reading until a signal ends", () => {
  it("gives the source back once, whoever ends first", async () => {
    let returned = 0;
    const source = {
      [Symbol.asyncIterator]: () => ({
        next: async () => ({ done: false as const, value: 1 }),
        return: async () => {
          returned += 1;
          return { done: true as const, value: undefined };
        },
      }),
    };
    const controller = new AbortController();
    let seen = 0;
    for await (const value of until(source, controller.signal)) {
      seen += value ?? 0;
      if (seen === 3) controller.abort();
    }
    assert.deepEqual([seen, returned], [3, 1]);
  });
});
