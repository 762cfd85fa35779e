import assert from "node:assert/strict";
import { parseIdPattern, parseSpiffeId, parseTrustDomain, podId } from "../../../identity/spiffe.js";
import { throwsWith } from "../../lib/chainKit.js";

describe("SPIFFE ids", () => {
  it("are parsed into trust domain and path", () => {
    const { trustDomain, path } = parseSpiffeId("spiffe://paris.example/node/paris-1/nsmgr");
    assert.deepEqual([trustDomain, path], ["paris.example", "/node/paris-1/nsmgr"]);
    assert.equal(parseSpiffeId("spiffe://paris").path, "");
  });

  for (const text of [
    "",
    "paris/nsmgr",
    "https://paris/nsmgr",
    "SPIFFE://paris/nsmgr",
    "spiffe://",
    "spiffe:///nsmgr",
    "spiffe://Paris/nsmgr",
    "spiffe://paris:5001/nsmgr",
    "spiffe://paris/",
    "spiffe://paris/a//b",
    "spiffe://paris/a/../b",
    "spiffe://paris/a?b",
    "spiffe://paris/a\nb",
    `spiffe://paris/${"a".repeat(2048)}`,
  ])
    it(`refuse ${JSON.stringify(text.slice(0, 40))}`, () => {
      throwsWith("invalid", /SPIFFE id|the path of/, () => parseSpiffeId(text));
    });

  it("refuse a trust domain with capitals, a slash or nothing", () => {
    for (const text of ["", "Paris", "a/b", "a".repeat(256)])
      throwsWith("invalid", "a trust domain is made of", () => parseTrustDomain(text));
  });
});

describe("patterns of ids", () => {
  const rows: [string, string, boolean][] = [
    ["spiffe://paris/registry", "spiffe://paris/registry", true],
    ["spiffe://paris/registry", "spiffe://paris/registry/2", false],
    ["spiffe://paris/node/*/nsmgr", "spiffe://paris/node/paris-1/nsmgr", true],
    ["spiffe://paris/node/*/nsmgr", "spiffe://paris/node/a/b/nsmgr", false],
    ["spiffe://paris/node/*/nsmgr", "spiffe://paris/node/paris-1/forwarder", false],
    ["spiffe://paris/**", "spiffe://paris/any/thing", true],
    ["spiffe://paris/**", "spiffe://paris", true],
    ["spiffe://paris/**", "spiffe://parish/any", false],
    ["spiffe://*/registry", "spiffe://tokyo/registry", true],
    ["spiffe://pa.is/**", "spiffe://paxis/a", false],
    ["spiffe://paris/ns/nsm/pod/nsmgr-*", "spiffe://paris/ns/nsm/pod/nsmgr-7xk2p", true],
    ["spiffe://paris/ns/nsm/pod/nsmgr-*", "spiffe://paris/ns/nsm/pod/forwarder-7xk2p", false],
    ["spiffe://paris/ns/nsm/pod/nsmgr-*", "spiffe://paris/ns/nsm/pod/nsmgr-7/forwarder", false],
    ["spiffe://paris/*-nsmgr/**", "spiffe://paris/a-nsmgr/b/c", true],
  ];
  for (const [pattern, id, matches] of rows)
    it(`${pattern} ${matches ? "means" : "does not mean"} ${id}`, () => assert.equal(parseIdPattern(pattern)(id), matches));

  it("refuse what no id could match", () => {
    for (const text of [
      "",
      "paris/*",
      "spiffe://paris/",
      "spiffe://paris/a b",
      "spiffe://pa*s/a",
      "spiffe://paris/a*b*c",
      "spiffe://paris/**/a",
    ])
      throwsWith("invalid", /SPIFFE id|path/, () => parseIdPattern(text));
  });
});

describe("the id of a pod", () => {
  it("lies under that of its nsmgr, whatever the pod is called", () => {
    const id = "spiffe://paris/node/paris-1/nsmgr";
    assert.equal(podId(id, "client-0"), `${id}/isthmus-pod/client-0`);
    for (const name of ["a/b", "..", ".", "a b", "a_b", "a%2fb", "é"]) parseSpiffeId(podId(id, name));
    assert.notEqual(podId(id, "a/b"), podId(id, "a_2fb"));
  });
});
