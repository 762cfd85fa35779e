import assert from "node:assert/strict";
import { MemberRule } from "../../../../api/gen/isthmus/v1/segment.js";
import { hasLabels, parseMemberPort, ruleWords, toldLabels } from "../../../../core/segment/policy.js";

const policy = [
  MemberRule.fromPartial({ from: { role: "hmi", zone: "a" }, to: { role: "plc" }, ports: ["502/tcp"] }),
  MemberRule.fromPartial({ to: { printer: "yes" } }),
];

describe("a policy between members", () => {
  it("is told of a member what it asks for, and nothing else", () => {
    assert.deepEqual(toldLabels(policy, { role: "plc", zone: "b", owner: "me", printer: "yes" }), { printer: "yes", role: "plc" });
    assert.deepEqual(toldLabels(policy, { role: "guest", zone: "a" }), { zone: "a" });
    assert.deepEqual(toldLabels([], { role: "plc" }), {});
    assert.deepEqual(toldLabels([MemberRule.fromPartial({ to: { constructor: "x" } })], {}), {});
  });

  it("knows who has all labels of a rule; who has more has them too, and without labels it is everybody", () => {
    assert.equal(hasLabels({ role: "hmi", zone: "a" }, { role: "hmi", zone: "a", more: "x" }), true);
    assert.equal(hasLabels({ role: "hmi", zone: "a" }, { role: "hmi" }), false);
    assert.equal(hasLabels({}, {}), true);
  });

  it("reads ports and shows rules in a few words", () => {
    assert.deepEqual(parseMemberPort("65535/udp"), { protocol: "udp", port: 65_535 });
    assert.deepEqual(policy.map(ruleWords), ["role=hmi,zone=a -> role=plc: 502/tcp", "all -> printer=yes: everything"]);
  });
});
