import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import { MeshError } from "../../core/error.js";
import type { Kernel, KernelObject, Port } from "../../kernel/model.js";
import { dumpFilters } from "../../kernel/netlink/filter.js";
import { NETLINK_ROUTE, NetlinkSocket } from "../../kernel/netlink/socket.js";
import { within } from "../../kernel/netns.js";
import { add, address, differences, make, port, remoteOf, route, vxlan } from "../suite/kernel.js";
import { bridge, indexOf, ip, TestNode } from "./kernelWorld.js";

describe("the kernel on Linux", () => {
  let node: TestNode;
  let kernel: Kernel;
  beforeEach(async () => {
    node = new TestNode("ka-l-");
    kernel = await node.open();
  });
  afterEach(async () => {
    await kernel[Symbol.asyncDispose]();
    await node[Symbol.asyncDispose]();
  });

  it("leaves alone what is not ours in the mesh namespace", async () => {
    ip(node.mesh, "link", "add", "stranger", "type", "veth", "peer", "name", "friend");
    assert.deepEqual(await kernel.list([]), []);
    const failures = await kernel.apply([
      { op: "delete", key: "", old: { ...port("stranger", node.pod("a")) } },
      add(vxlan("stranger", 7)),
    ]);
    assert.match(failures.map(({ error }) => error.message).join(), /a device stranger that is not ours/);
    assert.notEqual(indexOf(node.mesh, "stranger"), undefined);
  });

  it("knows a device that a killed process left half-made, and takes it away", async () => {
    ip(node.mesh, "link", "add", "p-half", "group", String(0x6973), "type", "veth", "peer", "name", "half");
    const [half] = await kernel.list([]);
    assert.deepEqual([half?.kind, half?.kind === "port" && half.alias], ["port", ""]);
    assert.deepEqual(await kernel.apply([{ op: "delete", key: "", old: half as Port }]), []);
    assert.equal(indexOf(node.mesh, "p-half"), undefined);
  });

  it("gives IPv6 to a pod that came without", async () => {
    const pod = node.pod("a");
    within(pod, () => fs.writeFileSync("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1"));
    const wanted = [port("p-a", pod), address(pod, "2001:db8::1/128")];
    await make(kernel, wanted);
    assert.deepEqual(differences(wanted, await kernel.list(wanted)), []);
    assert.doesNotMatch(ip(pod, "address", "show", "dev", "nsm0"), /tentative.*2001|2001.*tentative/);
  });

  it("does not replace a route of the pod's own", async () => {
    const pod = node.pod("a");
    ip(pod, "link", "add", "eth0", "type", "veth", "peer", "name", "eth1");
    ip(pod, "link", "set", "eth0", "up");
    ip(pod, "route", "add", "default", "dev", "eth0");
    await make(kernel, [port("p-a", pod), address(pod, "172.16.1.1/32")]);
    const [failure] = await kernel.apply([add(route(pod, "0.0.0.0/0"))]);
    assert.ok(failure?.error instanceof MeshError && failure.error.code === "exists");
    assert.match(ip(pod, "route"), /default dev eth0/);
  });

  it("does not touch what the pod put on its other interfaces, or routes of its own over ours", async () => {
    const pod = node.pod("a");
    const wanted = [port("p-a", pod), address(pod, "172.16.1.1/32"), route(pod, "172.16.1.2/32")];
    await make(kernel, wanted);
    ip(pod, "address", "add", "10.1.1.1/24", "dev", "lo");
    ip(pod, "route", "add", "10.5.0.0/16", "dev", "nsm0");
    assert.deepEqual(differences(wanted, await kernel.list(wanted)), []);
  });

  it("makes a VXLAN device that encapsulates in the node's namespace", async () => {
    const wanted: KernelObject[] = [
      { ...vxlan("x-1", 7), madeIn: "node", local: "192.0.2.1" },
      { ...remoteOf("x-1"), address: "192.0.2.2" },
    ];
    await make(kernel, [...wanted, vxlan("x-2", 7)]);
    assert.deepEqual(differences([...wanted, vxlan("x-2", 7)], await kernel.list([])), []);
    const ports = (netns: typeof node.mesh): string => within(netns, () => fs.readFileSync("/proc/thread-self/net/udp", "utf8"));
    assert.match(ports(node.netns), /:12B5 /, "UDP port 4789 is open in the node's namespace");
  });

  it("shows one of several remotes, and replaces them by the one wanted", async () => {
    const wanted = [vxlan("x-1", 7), remoteOf("x-1")];
    await make(kernel, wanted);
    bridge(node.mesh, "fdb", "append", "00:00:00:00:00:00", "dev", "x-1", "dst", "fd00:1::66", "vni", "9");
    assert.match(differences(wanted, await kernel.list(wanted)).join(), /address is fd00:1::66, wanted fd00:1::2/);
    for (const vni of [88, 7]) {
      const remote = { ...remoteOf("x-1"), vni };
      assert.deepEqual(await kernel.apply([{ op: "replace", key: "", value: remote, old: remote }]), []);
      assert.deepEqual(differences([vxlan("x-1", 7), remote], await kernel.list([])), []);
    }
  });

  it("takes over redirects that were made the other way", async () => {
    const wanted: KernelObject[] = [
      port("p-a", node.pod("a")),
      vxlan("x-1", 7),
      { kind: "redirect", from: "p-a", to: "x-1", by: "device" },
    ];
    await make(kernel, wanted);
    for (const mode of ["tc", "bpf"] as const) {
      const other = await node.open(mode);
      assert.deepEqual(differences(wanted, await other.list(wanted)), [], "they are no difference");
      await make(other, wanted);
      assert.deepEqual(differences(wanted, await other.list(wanted)), []);
      assert.equal(filterKinds(node).join(), mode === "tc" ? "u32" : "bpf");
      await other[Symbol.asyncDispose]();
    }
  });

  it("deletes many devices in about the time of one, and the process goes on meanwhile", async () => {
    const pod = node.pod("a");
    const ports = Array.from({ length: 30 }, (_, k) => ({ ...port(`p-${k}`, pod), podInterface: `nsm${k}`, podMac: mac(k) }));
    await make(kernel, ports);
    const [first, ...rest] = ports.map((old) => ({ op: "delete" as const, key: "", old }));
    assert.ok(first !== undefined);
    const one = await timed(() => kernel.apply([first]));
    const all = await timed(() => kernel.apply(rest));
    assert.deepEqual(await kernel.list([]), []);
    assert.ok(all < 10 * one + 100, `one took ${one} ms, 29 took ${all} ms`);
  });

  it("hears of events by SIGIO, which harms no child process", async () => {
    const children = Array.from({ length: 5 }, () => spawn("sh", ["-c", "read line; exit 7"], { stdio: ["pipe", "ignore", "ignore"] }));
    const ends = children.map((child) => once(child, "exit"));
    const pod = node.pod("a");
    for (let round = 0; round < 20; round++) {
      const heard = next(kernel, "gone");
      const made = port("p-a", pod);
      await make(kernel, [made]);
      await kernel.apply([{ op: "delete", key: "", old: made }]);
      await heard;
    }
    for (const child of children) child.stdin?.end("\n");
    for (const end of ends) assert.deepEqual(await end, [7, null]);
  });
});

function filterKinds(node: TestNode): string[] {
  using socket = within(node.mesh, () => new NetlinkSocket(NETLINK_ROUTE));
  return dumpFilters(socket, indexOf(node.mesh, "p-a") ?? 0).map(({ kind }) => kind);
}

async function next(kernel: Kernel, kind: string): Promise<void> {
  for await (const event of kernel.events(AbortSignal.timeout(5000))) if (event.kind === kind) return;
  assert.fail(`no event ${kind} within 5 s`);
}

async function timed(task: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await task();
  return performance.now() - started;
}

function mac(k: number): string {
  return `02:00:00:00:01:${k.toString(16).padStart(2, "0")}`;
}
