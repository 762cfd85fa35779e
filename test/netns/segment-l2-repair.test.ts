import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import type { Guard, Kernel, KernelObject } from "../../kernel/model.js";
import { add, differences, make, settle } from "../suite/kernel.js";
import { bridge, ip } from "./kernelWorld.js";
import { SegmentNode } from "./segmentWorld.js";
import { guardOf, joined, node } from "./switchedWorld.js";

describe("a switched segment that somebody meddles with", () => {
  let segment: SegmentNode;
  let kernel: Kernel;
  let wanted: KernelObject[];
  beforeEach(async () => {
    segment = new SegmentNode("ka-m-", "l2");
    kernel = await segment.open();
    wanted = [...node(0), ...joined("a", segment.node.pod("a"))];
    await make(kernel, wanted);
  });
  afterEach(async () => {
    await segment[Symbol.asyncDispose]();
  });
  const inside = (...command: string[]) => execFileSync("nsenter", [`--net=${segment.netns.path}`, "--", ...command]);
  const seen = async () => differences(wanted, await kernel.list(wanted)).join("\n");

  const bridges: [what: string, meddle: () => void, words: RegExp][] = [
    [
      "runs the spanning tree protocol",
      () => ip(segment.netns, "link", "set", "br-1", "type", "bridge", "stp_state", "1"),
      /spanning tree/,
    ],
    ["is down", () => ip(segment.netns, "link", "set", "br-1", "down"), /bridge br-1: it is down/],
    [
      "does not clamp the TCP of one family",
      () => inside("nft", "delete", "element", "bridge", "isthmus", "sizes", "{", "ip6", ":", "1340", "}"),
      /TCP is not clamped/,
    ],
    ["has no IPv6", () => inside("sysctl", "-qw", "net.ipv6.conf.br-1.disable_ipv6=1"), /it has no IPv6/],
  ];
  for (const [what, meddle, words] of bridges) {
    it(`sees a bridge that ${what}, and repairs it`, async () => {
      meddle();
      assert.match(await seen(), words);
      await settle(kernel, wanted);
      assert.equal(await seen(), "");
    });
  }

  it("does not mind what a bridge learned", async () => {
    ip(segment.netns, "link", "set", "p-a", "type", "bridge_slave", "learning", "on");
    bridge(segment.netns, "fdb", "add", "02:00:00:00:00:77", "dev", "p-a", "master", "dynamic");
    assert.match(await seen(), /^port p-a: learning is true, wanted false$/);
  });

  const stray: Guard = { ...guardOf("b"), device: "p-z" };
  const guards: [what: string, meddle: () => void, words: string][] = [
    [
      "more than it should, which only a look at everything shows",
      () => inside("nft", "add", "element", "bridge", "isthmus", "macs", "{", "p-a", ".", "0x020000000077", "}"),
      "guard p-a: it was changed by somebody else, or not finished; mac is 02:00:00:00:00:0a 02:00:00:00:00:77, wanted 02:00:00:00:00:0a",
    ],
    [
      "less than it should",
      () => inside("nft", "delete", "element", "bridge", "isthmus", "addresses4", "{", "p-a", ".", "10.70.0.2", "}"),
      "guard p-a: it was changed by somebody else, or not finished; addresses is fd70::2, wanted 10.70.0.2 fd70::2",
    ],
    [
      "what it should, but not from its link-local address",
      () =>
        inside("nft", "delete", "element", "bridge", "isthmus", "addresses6", "{", "p-a", ".", "0xfe80000000000000000000fffe00000a", "}"),
      "guard p-a: it was changed by somebody else, or not finished",
    ],
  ];
  for (const [what, meddle, words] of guards) {
    it(`sees that a port may send ${what}, and repairs it`, async () => {
      meddle();
      assert.equal(await seen(), words);
      await settle(kernel, wanted);
      assert.equal(await seen(), "");
      assert.deepEqual(differences([guardOf("a")], (await kernel.find(["p-a"], wanted)).filter(isGuard)), []);
    });
  }

  it("takes over what a version without clamps left", async () => {
    inside("nft", "flush", "chain", "bridge", "isthmus", "forward");
    inside("nft", "delete", "map", "bridge", "isthmus", "sizes");
    const next = await segment.open();
    assert.equal(differences(wanted, await next.list(wanted)).join("\n"), "bridge br-1: TCP is not clamped to its MTU");
    await settle(next, wanted);
    assert.equal(await seen(), "");
    assert.match(String(inside("nft", "list", "chain", "bridge", "isthmus", "forward")), /maxseg size set .* map @sizes/);
  });

  it("removes what a killed process left of a guard that it was about to make", async () => {
    await make(kernel, [stray]);
    const seal = execFileSync("nsenter", [`--net=${segment.netns.path}`, "nft", "list", "map", "bridge", "isthmus", "guards"], {
      encoding: "utf8",
    });
    const [, digest = ""] = /"p-z" : ([0-9a-f:]+)/.exec(seal) ?? [];
    inside("nft", "delete", "element", "bridge", "isthmus", "guards", "{", "p-z", ":", digest, "}");
    assert.equal(await seen(), "unwanted: guard p-z");
    await settle(kernel, wanted);
    assert.equal(await seen(), "");
    for (const set of ["macs", "addresses4", "addresses6"]) {
      const listed = execFileSync("nsenter", [`--net=${segment.netns.path}`, "nft", "list", "set", "bridge", "isthmus", set], {
        encoding: "utf8",
      });
      assert.match(listed, /p-a/);
      assert.doesNotMatch(listed, /p-z/);
    }
  });

  it("refuses guards where packets are routed", async () => {
    await using routed = new SegmentNode("ka-m3-", "l3");
    const [failure] = await (await routed.open()).apply([add(stray)]);
    assert.match(failure?.error.message ?? "", /p-z cannot be guarded: only the namespace of a switched segment has guards/);
  });
});

function isGuard(object: KernelObject): boolean {
  return object.kind === "guard";
}
