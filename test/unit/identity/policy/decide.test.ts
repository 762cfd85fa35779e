import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { decide } from "../../../../identity/policy/decide.js";
import { builtIn } from "../../../../identity/policy/inForce.js";
import { authorNeeds, lockedOut, needsOf } from "../../../../identity/policy/lockout.js";
import { formatPolicy, parsePolicy } from "../../../../identity/policy/parse.js";
import { namePattern } from "../../../../identity/policy/patterns.js";
import type { Action, Labels } from "../../../../identity/policy/policy.js";

const example = parsePolicy(readFileSync("examples/policy.yaml", "utf8"), "examples/policy.yaml");
const node = (path: string) => `spiffe://paris/node/paris-1/${path}`;
const tv = node("nsmgr/isthmus-pod/tv");
const answer = (id: string, action: Action, service: string, podLabels: Labels = {}, policy = example) => {
  const decision = decide(policy, { id, action, service, podLabels });
  return decision.allowed ? decision.rule.title : "denied";
};

describe("a policy", () => {
  for (const [id, action, service, labels, expected] of [
    [node("forwarder"), "register", "forwarder", {}, "rule 1 (forwarders)"],
    [node("nsmgr"), "register", "forwarder", {}, "denied"],
    [node("forwarder"), "find", "camera-hall", {}, "rule 2 (nodes)"],
    [node("nsmgr/isthmus-pod/server"), "register", "camera-hall", {}, "rule 3 (cameras)"],
    [node("nsmgr"), "register", "camera-hall", {}, "rule 3 (cameras)"],
    ["spiffe://paris/node/paris-3/nsmgr/isthmus-pod/server", "register", "camera-hall", {}, "denied"],
    ["spiffe://paris/node/paris-10/nsmgr", "register", "camera-hall", {}, "denied"],
    [tv, "request", "camera-hall", { role: "viewer", other: "x" }, "rule 4 (viewers)"],
    [tv, "request", "camera-hall", { role: "guest" }, "denied"],
    [tv, "request", "camera-hall", {}, "denied"],
    [tv, "request", "camera-", { role: "viewer" }, "rule 4 (viewers)"],
    [tv, "request", "camera", { role: "viewer" }, "denied"],
    [tv, "request", "my-camera-hall", { role: "viewer" }, "denied"],
    [tv, "request", "public-x", {}, "rule 5 (public)"],
    [tv, "monitor", "public-x", {}, "denied"],
    ["spiffe://tokyo/node/tokyo-1/nsmgr/isthmus-pod/x", "request", "public-x", {}, "rule 6 (tokyo)"],
    ["spiffe://tokyo/node/tokyo-1/nsmgr/isthmus-pod/x", "register", "public-x", {}, "denied"],
    ["spiffe://tokyo.evil/x", "request", "public-x", {}, "denied"],
    ["spiffe://paris", "request", "public-x", {}, "rule 5 (public)"],
    ["", "request", "public-x", {}, "denied"],
  ] as const)
    it(`says ${expected} to ${id || "nobody"} that wants to ${action} ${service} with ${JSON.stringify(labels)}`, () =>
      assert.equal(answer(id, action, service, labels), expected));

  it("leaves out what a rule excepts, and says so", () => {
    const policy = parsePolicy('allow: [{ who: [paris], may: [find], services: ["*"], except: [forwarder, "secret-*"] }]', "p");
    for (const [service, expected] of [
      ["web", "rule 1"],
      ["forwarder", "denied"],
      ["forwarders", "rule 1"],
      ["secret-x", "denied"],
      ["", "denied"],
    ] as const)
      assert.equal(answer(tv, "find", service, {}, policy), expected, service);
    const decision = decide(policy, { id: tv, action: "find", service: "forwarder" });
    assert.match(decision.allowed ? "" : decision.missing, /rule 1 comes nearest but is about \* except forwarder, secret-\*; add/);
    assert.equal(formatPolicy(parsePolicy(formatPolicy(policy), "again")), formatPolicy(policy));
  });

  for (const [pattern, fitting, others] of [
    ["*", ["", "a", "a\nb"], []],
    ["a", ["a"], ["", "aa", "ab"]],
    ["a*", ["a", "ab", "aa"], ["", "ba"]],
    ["*a", ["a", "ba", "aa"], ["", "ab"]],
    ["a*a", ["aa", "aba", "aaa"], ["a", "ab"]],
    ["a*b*c", ["abc", "axbxc", "abbc", "abcbc"], ["ac", "acb", "abcd"]],
    ["ab*ba", ["abba", "abxba"], ["aba", "ab", "abxb"]],
    ["*.*", [".", "a.b"], ["ab"]],
    ["a+(b)?[c]", ["a+(b)?[c]"], ["aab", "ac"]],
  ] as const)
    it(`takes ${pattern} as a pattern of names`, () => {
      const { matches } = namePattern(pattern);
      for (const name of fitting) assert.ok(matches(name), `${pattern} fits ${JSON.stringify(name)}`);
      for (const name of others) assert.ok(!matches(name), `${pattern} does not fit ${JSON.stringify(name)}`);
    });

  it("is quick with a pattern that is made to be slow", () => {
    const began = performance.now();
    assert.ok(!namePattern(`${"*a".repeat(100)}b`).matches("a".repeat(256)));
    assert.ok(performance.now() - began < 1_000);
  });

  it("takes labels from nobody's prototype", () => {
    const policy = parsePolicy('allow: [{ who: [paris], may: [request], services: ["*"], pods: { constructor: "*" } }]', "p");
    assert.equal(answer(tv, "request", "x", {}, policy), "denied");
    assert.equal(answer(tv, "request", "x", { constructor: "" }, policy), "rule 1");
  });

  it("of a fresh site allows its own everything, and others nothing", () => {
    const { policy, version } = builtIn("paris");
    for (const action of ["register", "find", "request", "monitor"] as const) {
      for (const id of [tv, node("nsmgr"), "spiffe://paris/registry"])
        assert.equal(answer(id, action, "any", {}, policy), "rule 1 (the site's own)");
      assert.equal(answer("spiffe://tokyo/node/tokyo-1/nsmgr", action, "any", {}, policy), "denied");
    }
    assert.equal(version, 0);
  });

  it("says in one sentence which rule is missing, which comes nearest, and what to add", () => {
    const decision = decide(example, { id: tv, action: "request", service: "camera-hall", podLabels: { role: "guest" } });
    assert.equal(
      decision.allowed ? "" : decision.missing,
      `${tv} (a pod with role=guest) may not request "camera-hall": no rule of the site's policy allows it, rule 4 (viewers) comes nearest but is for pods with role=viewer; add one with who [${tv}], may [request], services ["camera-hall"] and \`nsmctl policy apply\` it`,
    );
    const far = decide(example, { id: "spiffe://lima/x", action: "register", service: "camera-hall" });
    assert.match(
      far.allowed ? "" : far.missing,
      /allows it, rule 3 \(cameras\) comes nearest but is for spiffe:.*paris-1.*; add one with who/,
    );
  });

  it("is the same when it is written out and read again", () => {
    const again = parsePolicy(formatPolicy(example), "again");
    assert.equal(formatPolicy(again), formatPolicy(example));
    assert.equal(answer(tv, "request", "camera-hall", { role: "viewer" }, again), "rule 4 (viewers)");
  });
});

describe("who a policy locks out", () => {
  const programs = [needsOf(node("nsmgr"), "nsmgr", "forwarder"), needsOf(node("forwarder"), "forwarder", "forwarder")];

  it("is nobody with the example and with the policy of a fresh site", () => {
    assert.deepEqual(lockedOut(example, programs), []);
    assert.deepEqual(lockedOut(builtIn("paris").policy, programs), []);
  });

  it("is every program of a node with an empty one, each with what it lacks", () => {
    assert.deepEqual(lockedOut({ rules: [] }, programs), [
      `${node("nsmgr")}, a program of a node of this site, could no longer find "forwarder" or monitor anything`,
      `${node("forwarder")}, a program of a node of this site, could no longer register "forwarder" or find anything or monitor anything`,
    ]);
  });

  it("is an author who keeps less than it may now", () => {
    const author = authorNeeds("spiffe://paris/user/anna", builtIn("paris").policy);
    const lost = lockedOut(example, [author]);
    assert.deepEqual(lost, ["spiffe://paris/user/anna, who applies it, could no longer monitor anything"]);
    assert.deepEqual(lockedOut(example, [authorNeeds("spiffe://lima/x", builtIn("paris").policy)]), []);
  });
});
