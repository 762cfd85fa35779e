import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseSegments, readSegments } from "../../../../cli/segment/file.js";
import { ruleWords } from "../../../../core/segment/policy.js";
import { newFolder } from "../../../lib/folder.js";

const least = "kind: Segment\nname: plant\nlayer: l3\n";

describe("a file with segments", () => {
  it("is understood, the example too", () => {
    const [plant, floor, ...more] = parseSegments(readSegments("examples/segment.yaml"), "examples/segment.yaml");
    assert.deepEqual(more, []);
    const { name, layer, prefixes, sites, mtu, dnsDomain, allowLabels, exclude, floodUnknown } = plant ?? assert.fail();
    assert.deepEqual([name, layer, prefixes, sites], ["plant", "l3", ["10.60.0.0/16", "fd60::/48"], ["paris", "tokyo"]]);
    assert.deepEqual([mtu, dnsDomain, allowLabels, exclude, floodUnknown], [0, "plant.mesh", { plant: "north" }, ["10.60.0.0/28"], false]);
    assert.deepEqual(plant?.policy.map(ruleWords), ["role=hmi -> role=plc: 502/tcp, 161/udp", "all -> role=printer: everything"]);
    assert.deepEqual([floor?.name, floor?.layer, floor?.sites, floor?.dnsDomain], ["floor", "l2", [], ""]);
  });

  it("needs little", () => {
    const [plant] = parseSegments(least, "a.yaml");
    assert.deepEqual([plant?.mtu, plant?.prefixes, plant?.home, plant?.version], [0, [], "", 0]);
    assert.equal(parseSegments(`---\n${least}mtu: 1400\n---\n`, "a.yaml")[0]?.mtu, 1400);
  });

  for (const [what, text, message] of [
    ["nothing", "", /^a\.yaml is empty; a segment begins with kind: Segment$/],
    ["only dashes", "---\n---\n", /is empty/],
    ["a list", "- a\n", /^a\.yaml, line 1: a segment must have keys/],
    ["no YAML", `${least}sites: [a\n`, /^a\.yaml, line \d: this is no YAML: /],
    ["a key twice", `${least}name: b\n`, /^a\.yaml, line 4: this is no YAML: Map keys must be unique/],
    ["an alias", `${least}sites: &s [a]\nexclude: *s\n`, /write out what an alias/],
    ["another kind", least.replace("Segment", "Policy"), /^a\.yaml, line 1: kind is "Policy"; it must be Segment$/],
    ["no name", "kind: Segment\nlayer: l3\n", /^a\.yaml, line 1: name is missing; it must be a name, as plant$/],
    ["no layer", "kind: Segment\nname: a\n", /layer is missing; it must be l2 or l3$/],
    ["another layer", least.replace("l3", "l4"), /^a\.yaml, line 3: layer is "l4"; it must be l2 or l3$/],
    [
      "an unknown key",
      `${least}prefix: 10.60.0.0\n`,
      /^a\.yaml, line 4: the key "prefix" is not known; a segment has kind, name, layer, prefixes,/,
    ],
    [
      "one prefix that is no list",
      `${least}prefixes: 10.60.0.0/16\n`,
      /line 4: prefixes is "10\.60\.0\.0\/16"; it must be a list of prefixes/,
    ],
    ["a prefix that is no text", `${least}prefixes:\n  - 10\n`, /line 5: entry 1 of prefixes is 10; it must be prefixes, as/],
    ["an MTU in words", `${least}mtu: large\n`, /line 4: mtu is "large"; it must be auto or a number of bytes, as 1400$/],
    ["half an MTU", `${least}mtu: 1400.5\n`, /mtu is 1400\.5; it must be auto/],
    [
      "a label that is no text",
      `${least}allowLabels: { big: true }\n`,
      /line 4: big of allowLabels is true; it must be a text; write it as "true"/,
    ],
    ["a policy that is no list", `${least}policy: { from: {} }\n`, /line 4: policy is \{"from":\{\}\}; it must be a list of rules$/],
    [
      "a rule that is none",
      `${least}policy:\n  - role=hmi\n`,
      /line 5: entry 1 of policy is "role=hmi"; it must be a rule with from, to and ports$/,
    ],
    [
      "an unknown key of a rule",
      `${least}policy:\n  - to: { role: plc }\n    port: 502\n`,
      /^a\.yaml, line 6: the key "port" is not known; a rule of a policy has from, to, ports$/,
    ],
    [
      "a port that is no text",
      `${least}policy:\n  - ports: [502]\n`,
      /line 5: entry 1 of ports of entry 1 of policy is 502; it must be ports, as 502\/tcp$/,
    ],
    ["a flag that is none", `${least}floodUnknown: "yes"\n`, /line 4: floodUnknown is "yes"; it must be true or false/],
    ["two segments of one name", `${least}---\n${least}`, /^a\.yaml has two segments plant; give each a name of its own$/],
    ["a mistake in the second", `${least}---\nkind: Segment\nname: b\nlayer: l9\n`, /^a\.yaml, line 7: layer is "l9"/],
    ["too many", `${least}---\n`.repeat(257), /has 257 documents; at most 256 are taken/],
  ] as const)
    it(`is refused with where and what: ${what}`, () => assert.throws(() => parseSegments(text, "a.yaml"), { code: "invalid", message }));

  it("is not read on beyond its limit, or where there is none", () => {
    using folder = newFolder();
    const path = join(folder.path, "big.yaml");
    writeFileSync(path, "#".repeat(256 * 1024));
    assert.equal(readSegments(path).length, 256 * 1024);
    writeFileSync(path, "#".repeat(256 * 1024 + 1));
    assert.throws(() => readSegments(path), { code: "invalid", message: /has more than 262144 bytes/ });
    assert.throws(() => readSegments("/dev/zero"), { code: "invalid", message: /has more than 262144 bytes/ });
    assert.throws(() => readSegments(folder.path), { code: "invalid", message: /cannot be read: EISDIR/ });
  });
});
