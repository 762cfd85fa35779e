import assert from "node:assert/strict";
import fs from "node:fs";
import type { Kernel, KernelObject } from "../../kernel/model.js";
import { netnsExists, within } from "../../kernel/netns.js";
import { listSegmentNetns, openSegmentNetns, removeSegmentNetns } from "../../kernel/segment.js";
import { add, differences, make, port, settle, vxlan } from "../suite/kernel.js";
import { bridge, indexOf, ip, TestNode } from "./kernelWorld.js";
import { SegmentNode } from "./segmentWorld.js";

describe("the namespace of a segment", () => {
  it("is found by its name, opened again with what is in it, and removed with all of it", () => {
    const names = ["ka-n-seg-blue", "ka-n-seg-red"];
    for (const name of names) openSegmentNetns(name, "l3");
    const [blue] = names.map((name) => openSegmentNetns(name, "l3"));
    assert.ok(blue !== undefined);
    ip(blue, "link", "add", "p-a", "type", "veth", "peer", "name", "b");
    assert.equal(openSegmentNetns("ka-n-seg-blue", "l3").cookie, blue.cookie);
    assert.notEqual(indexOf(blue, "p-a"), undefined);
    assert.deepEqual(listSegmentNetns("ka-n-seg-").sort(), names);
    for (const name of names) removeSegmentNetns(name);
    removeSegmentNetns("ka-n-seg-blue");
    assert.deepEqual(listSegmentNetns("ka-n-seg-"), []);
    assert.equal(netnsExists(blue), false);
  });

  it("routes, believes nobody and repairs its settings, also for devices that come later", async () => {
    await using segment = new SegmentNode("ka-n-", "l3");
    const setting = (name: string): string => within(segment.netns, () => fs.readFileSync(`/proc/sys/net/${name}`, "utf8")).trim();
    const kernel = await segment.open();
    await make(kernel, [port("p-a", segment.node.pod("a"))]);
    within(segment.netns, () => fs.writeFileSync("/proc/sys/net/ipv4/ip_forward", "0"));
    openSegmentNetns("ka-n-seg-s1", "l3");
    for (const of of ["all", "p-a"]) {
      const four = ["forwarding", "rp_filter", "accept_redirects", "send_redirects", "accept_local"];
      assert.deepEqual(
        four.map((name) => setting(`ipv4/conf/${of}/${name}`)),
        ["1", "1", "0", "0", "0"],
      );
      const six = ["forwarding", "disable_ipv6", "accept_ra", "accept_redirects"];
      assert.deepEqual(
        six.map((name) => setting(`ipv6/conf/${of}/${name}`)),
        ["1", "0", "0", "0"],
      );
    }
    assert.doesNotMatch(ip(segment.netns, "-6", "address", "show", "dev", "p-a"), /fe80/, "no device gives itself an address");
  });
});

describe("in the mesh namespace", () => {
  let node: TestNode;
  let kernel: Kernel;
  beforeEach(async () => {
    node = new TestNode("ka-n-");
    kernel = await node.open();
  });
  afterEach(async () => {
    await kernel[Symbol.asyncDispose]();
    await node[Symbol.asyncDispose]();
  });

  it("an address on lo is seen where it is wanted, and one of somebody else's is left alone", async () => {
    const wanted: KernelObject[] = [{ kind: "address", where: "mesh", device: "lo", address: "192.0.2.1/32" }];
    ip(node.mesh, "address", "add", "192.0.2.2/32", "dev", "lo");
    await make(kernel, wanted);
    assert.deepEqual(differences(wanted, await kernel.list(wanted)), []);
    assert.deepEqual(differences(wanted, await kernel.find(["lo"], wanted)), []);
    assert.deepEqual(await kernel.list([]), []);
    assert.deepEqual(await kernel.find(["lo"], []), []);
  });

  it("a VXLAN device that is wanted to switch has no remote, and another one has", async () => {
    const zero = "00:00:00:00:00:00";
    const wanted: KernelObject[] = [
      vxlan("x-1", 7),
      { kind: "vxlan-fdb", device: "x-1", mac: zero, address: "fd00:1::2", vni: 88 },
      vxlan("x-2", 8),
      { kind: "vxlan-remote", device: "x-2", address: "fd00:1::2", vni: 88 },
    ];
    await make(kernel, wanted);
    bridge(node.mesh, "fdb", "append", zero, "dev", "x-1", "dst", "fd00:1::3");
    const unwanted = [`unwanted: vxlan-fdb x-1 ${zero} fd00:1::3 7`];
    assert.deepEqual(differences(wanted, await kernel.list(wanted)), unwanted);
    assert.deepEqual(differences(wanted, await kernel.find(["x-1", "x-2"], wanted)), unwanted);
    await settle(kernel, wanted);
    assert.deepEqual(differences(wanted, await kernel.list(wanted)), []);
  });

  it("WireGuard is refused where the kernel was opened without", async () => {
    const [failure] = await kernel.apply([
      add({ kind: "wireguard", name: "w-1", alias: "isthmus:w", listenPort: 1, privateKeyFile: "/none", publicKey: "", mtu: 1400 }),
    ]);
    assert.match(failure?.error.message ?? "", /wireguard w-1: this namespace has no WireGuard/);
  });
});
