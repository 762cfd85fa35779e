import assert from "node:assert/strict";
import { MemberRule, Segment } from "../../../../api/gen/isthmus/v1/segment.js";
import { checkedSpec, sitesOf } from "../../../../core/segment/spec.js";
import { throwsWith } from "../../../lib/chainKit.js";

const check = (more: Partial<Segment> = {}) =>
  checkedSpec(Segment.fromPartial({ name: "plant", layer: "l3", prefixes: ["10.60.0.0/16"], ...more }), "paris");

const rule = (more: Partial<MemberRule>): MemberRule => MemberRule.fromPartial(more);

describe("what a segment may be", () => {
  it("is taken as it is, prefixes in their shortest form and IPv4 first", () => {
    const { prefixes, exclude, ...rest } = check({ prefixes: ["FD60:0::/48", "10.60.0.0/16"], exclude: ["10.60.0.7", "fd60::0/64"] });
    assert.deepEqual([prefixes, exclude, rest.name], [["10.60.0.0/16", "fd60::/48"], ["10.60.0.7", "fd60::/64"], "plant"]);
    assert.deepEqual(check({ layer: "l2", prefixes: [], floodUnknown: true, mtu: 9_000, dnsDomain: "plant.mesh" }).prefixes, []);
    assert.equal(check({ sites: ["tokyo", "paris"], mtu: 576 }).mtu, 576);
  });

  it("is for the site alone where it was made unless it names others", () => {
    assert.deepEqual(sitesOf({ sites: [], home: "paris" }), ["paris"]);
    assert.deepEqual(sitesOf({ sites: ["tokyo", "paris"], home: "paris" }), ["tokyo", "paris"]);
  });

  const bad: [string, Partial<Segment>, string][] = [
    [
      "a name that is no DNS label",
      { name: "plant@tokyo" },
      'the name of a segment is made of lower-case letters, digits and dashes, at most 63, and begins and ends with a letter or digit, got "plant@tokyo"',
    ],
    ["a name with a dot", { name: "a.b" }, 'got "a.b"'],
    ["no name", { name: "" }, 'got ""'],
    ["a layer that there is not", { layer: "l4" }, 'the layer of the segment plant must be l2 or l3, got "l4"'],
    ["spoofing without frames", { allowSpoofing: true }, "the segment plant cannot allow spoofing: it is l3"],
    ["flooding without frames", { floodUnknown: true }, "the segment plant cannot flood unknown MAC addresses: it is l3"],
    ["a prefix that is none", { prefixes: ["10.60.0.0/16x"] }, 'the segment plant: "10.60.0.0/16x" is no address range'],
    [
      "a prefix with host bits",
      { prefixes: ["10.60.0.1/16"] },
      "the segment plant: 10.60.0.1/16 has bits behind its length; write 10.60.0.0/16",
    ],
    [
      "two prefixes of one family",
      { prefixes: ["10.60.0.0/16", "10.61.0.0/16"] },
      "the segment plant has two IPv4 prefixes, 10.60.0.0/16 and 10.61.0.0/16; it takes one IPv4 and one IPv6",
    ],
    ["nothing to route by", { prefixes: [] }, "the segment plant is l3 and needs a prefix to route by, as 10.60.0.0/16 or fd60::/48"],
    [
      "a prefix that is too small",
      { prefixes: ["10.60.0.0/28"], sites: ["paris", "tokyo", "lima"] },
      "the prefix 10.60.0.0/28 of the segment plant is too small for 3 sites; /27 or larger is needed",
    ],
    [
      "an IPv6 prefix that is too small",
      { prefixes: ["fd60::/121"] },
      "the prefix fd60::/121 of the segment plant is too small for 1 site; /120 or larger",
    ],
    ["everything", { prefixes: ["0.0.0.0/0"] }, "has addresses of 0.0.0.0/8, which means this very host"],
    [
      "link-local addresses",
      { prefixes: ["169.254.0.0/24"] },
      "has addresses of 169.254.0.0/16, which is link-local, and the segment's gateway is in it",
    ],
    [
      "IPv6 multicast",
      { prefixes: ["ff05::/32"] },
      "the prefix ff05::/32 of the segment plant has addresses of ff00::/8, which is for multicast",
    ],
    [
      "an MTU that is too small",
      { mtu: 575 },
      "the MTU of the segment plant must be 576 to 9000, or auto for the least that all its ways carry, got 575",
    ],
    ["an MTU that is too small for IPv6", { mtu: 1279, prefixes: ["fd60::/48"] }, "must be 1280 to 9000, for IPv6 wants 1280, or auto"],
    ["an MTU that is too large", { mtu: 9_001 }, "got 9001"],
    [
      "a DNS domain that is none",
      { dnsDomain: "Plant_mesh." },
      'the DNS domain of the segment plant must be like plant.mesh, of lower-case letters, digits and dashes between the dots and at most 253 characters, got "Plant_mesh."',
    ],
    ["a DNS domain that is too long", { dnsDomain: Array(130).fill("a").join(".") }, "at most 253 characters"],
    ["what it excludes outside of it", { exclude: ["10.61.0.1"] }, "the segment plant excludes 10.61.0.1, which is not in 10.60.0.0/16"],
    ["what it excludes and is no address", { exclude: ["gateway"] }, 'what the segment plant excludes: "gateway" is no address range'],
    [
      "sites without its home",
      { sites: ["tokyo", "osaka"] },
      "the sites of the segment plant must include paris, where it is made, got tokyo, osaka",
    ],
    ["a site twice", { sites: ["paris", "tokyo", "tokyo"] }, "the segment plant names the site tokyo twice"],
    ["a site that is none", { sites: ["paris", "To kyo"] }, "a site of the segment plant is made of lower-case letters, digits and dashes"],
    [
      "a policy of too many rules",
      { policy: Array(65).fill(rule({})) },
      "the policy of the segment plant has 65 rules; at most 64 are taken",
    ],
    [
      "a rule with too many ports",
      { policy: [rule({ ports: Array.from({ length: 17 }, (_, at) => `${at + 1}/tcp`) })] },
      "rule 1 of the policy of the segment plant has 17 ports; at most 16 are taken",
    ],
    [
      "a rule with a port that is none",
      { policy: [rule({}), rule({ ports: ["502"] })] },
      'rule 2 of the policy of the segment plant: "502" is no port; write it as 502/tcp or 161/udp, from 1 to 65535',
    ],
    ["a rule with a port that is too high", { policy: [rule({ ports: ["65536/udp"] })] }, '"65536/udp" is no port'],
    ["a rule with port 0", { policy: [rule({ ports: ["0/udp"] })] }, '"0/udp" is no port'],
    ["a rule with another protocol", { policy: [rule({ ports: ["5/sctp"] })] }, '"5/sctp" is no port'],
    [
      "a rule with a port twice",
      { policy: [rule({ ports: ["5/tcp", "5/udp", "5/tcp"] })] },
      "rule 1 of the policy of the segment plant names the port 5/tcp twice",
    ],
    [
      "a rule with too many labels",
      { policy: [rule({ to: Object.fromEntries(Array.from({ length: 9 }, (_, at) => [`k${at}`, "v"])) })] },
      "to in rule 1 of the policy of the segment plant has 9 labels; at most 8 are taken",
    ],
    [
      "a rule with a label that is none",
      { policy: [rule({ from: { role: "h m i" } })] },
      'from in rule 1 of the policy of the segment plant has the label "role=h m i"; key and value have 1 to 63 letters',
    ],
    ["a rule with an empty value", { policy: [rule({ from: { role: "" } })] }, 'has the label "role="'],
    ["a rule with a key that is too long", { policy: [rule({ from: { ["k".repeat(64)]: "v" } })] }, "key and value have 1 to 63"],
    [
      "a policy with too many keys",
      { policy: Array.from({ length: 17 }, (_, at) => rule({ from: { [`k${at}`]: "v" } })) },
      "the policy of the segment plant names labels of 17 keys; at most 16 are taken",
    ],
    ["a label without a key", { allowLabels: { "": "x" } }, "a label that the segment plant wants has no key; write it as key=value"],
  ];
  for (const [what, more, sentence] of bad) it(`is not ${what}`, () => throwsWith("invalid", sentence, () => check(more)));
});
