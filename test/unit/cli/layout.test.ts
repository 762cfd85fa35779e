import assert from "node:assert/strict";
import { layout, parsePodName, parsePrefix, parseSites } from "../../../cli/lab/layout.js";
import type { MeshError } from "../../../core/error.js";

const refused = (words: RegExp) => (error: MeshError) => error.code === "invalid" && words.test(error.message);

describe("the layout of a lab", () => {
  it("takes sites and how many nodes they have", () => {
    assert.deepEqual(parseSites("paris=2,tokyo"), [
      { name: "paris", nodes: 2 },
      { name: "tokyo", nodes: 1 },
    ]);
  });

  for (const [text, words] of [
    ["", /--sites/],
    ["Paris=1", /lower-case/],
    ["paris=0", /1\.\.200/],
    ["paris=x", /1\.\.200/],
    ["paris=1,paris=2", /twice/],
    ["a=1,a-1=1", /a-1.*twice/],
    ["wan=1", /wan/],
    ["pod=1", /pod/],
    ["pod-x=1", /pod-x/],
    ["paris=1,", /--sites/],
  ] as const)
    it(`refuses "${text}"`, () => assert.throws(() => parseSites(text), refused(words)));

  it("refuses prefixes and pods that make no name", () => {
    for (const text of ["", "A", "a_b", "-a", "x".repeat(21)]) assert.throws(() => parsePrefix(text), refused(/--prefix/));
    for (const text of ["", "A", "a/b", ".a", "x".repeat(64)]) assert.throws(() => parsePodName(text), refused(/pod's name/));
  });

  it("gives names and addresses that are documented", () => {
    const plan = layout("nsm", 4, parseSites("paris=2,tokyo=1"));
    assert.equal(plan.wan, "nsm-wan");
    assert.deepEqual(
      plan.sites.map((site) => `${site.bridge} ${site.gateway} ${site.registryNodes}`),
      ["lan-paris 10.101.0.1/24 paris-1", "lan-tokyo 10.102.0.1/24 tokyo-1"],
    );
    assert.deepEqual(
      plan.nodes.map((node) => `${node.namespace} ${node.mesh} ${node.address}/${node.length} via ${node.gateway}`),
      [
        "nsm-paris-1 nsm-paris-1-mesh 10.101.0.11/24 via 10.101.0.1",
        "nsm-paris-2 nsm-paris-2-mesh 10.101.0.12/24 via 10.101.0.1",
        "nsm-tokyo-1 nsm-tokyo-1-mesh 10.102.0.11/24 via 10.102.0.1",
      ],
    );
  });

  it("has an IPv6 WAN too", () => {
    const plan = layout("nsm", 6, parseSites("paris=1,tokyo=1"));
    assert.deepEqual(
      plan.nodes.map((node) => `${node.address}/${node.length} via ${node.gateway}`),
      ["fd00:101::11/64 via fd00:101::1", "fd00:102::11/64 via fd00:102::1"],
    );
  });

  it("gives links names that the kernel takes, however long the site's", () => {
    const plan = layout("nsm", 4, parseSites("a-rather-long-name-of-a-site=2,tokyo=1"));
    const links = [...plan.sites.map((site) => site.bridge), ...plan.nodes.map((node) => node.port)];
    assert.ok(links.every((name) => name.length <= 15));
    assert.equal(new Set(links).size, links.length);
  });
});
