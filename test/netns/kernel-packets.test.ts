import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import net from "node:net";
import { connect, SOCK_NONBLOCK, SOCK_STREAM, socket } from "../../kernel/ffi/socket.js";
import type { Kernel, KernelObject, Netns } from "../../kernel/model.js";
import { familyOf, ipBytes } from "../../kernel/netlink/ip.js";
import { within } from "../../kernel/netns.js";
import type { RedirectMode } from "../../kernel/tc.js";
import { run } from "../lib/command.js";
import { add, differences, make, port } from "../suite/kernel.js";
import { joinTuns, Tun } from "./kernelTun.js";
import { ip, nameOf, TestNode } from "./kernelWorld.js";

const mtu = 1400;
const macs = { a: "02:00:00:00:00:0a", b: "02:00:00:00:00:0b" };
const addresses = { a: ["172.16.1.1", "2001:db8::a"], b: ["172.16.1.2", "2001:db8::b"] } as const;

for (const mode of ["bpf", "tc"] as const) {
  describe(`packets, passed on by ${mode}`, () => {
    it("go from port to port, both families, with full frames and TCP, and on without any process", async () => {
      await using node = new TestNode("ka-p-");
      const { kernel, a, b, wanted } = await pair(node, mode);
      await make(kernel, [...wanted, redirect("p-a", "p-b", "peer"), redirect("p-b", "p-a", "peer")]);
      await reachesAll(a);
      await carriesTcp(a, b);
      const counters = await kernel.counters(["p-a", "p-b"]);
      assert.ok((counters.get("p-a")?.rxPackets ?? 0) > 10, "what a pod sent is its port's RX");
      await kernel[Symbol.asyncDispose]();
      await reachesAll(b, addresses.a);
    });

    it("go from port to port over VXLAN, each side with a VNI of its own, inside an IPv6 underlay", async () => {
      await using one = new TestNode("ka-p1-");
      await using two = new TestNode("ka-p2-");
      const [here, there] = [await one.open(mode), await two.open(mode)];
      await underlay(one, here, two, there);
      const [a, b] = [one.pod("a"), two.pod("b")];
      await make(here, [...end("a", a), ...tunnel({ own: 77, theirs: 88, local: "fd00:1::1", peer: "fd00:1::2", port: "p-a" })]);
      await make(there, [...end("b", b), ...tunnel({ own: 88, theirs: 77, local: "fd00:1::2", peer: "fd00:1::1", port: "p-b" })]);
      await silence(a);
      await make(here, [{ kind: "vxlan-source", source: "fd00:1::2", vni: 77 }]);
      await make(there, [{ kind: "vxlan-source", source: "fd00:1::1", vni: 88 }]);
      await reachesAll(a);
      await carriesTcp(a, b);
    });
  });
}

describe("packets of devices without an Ethernet header", () => {
  it("get one on their way to a port, and lose it on their way back", async () => {
    await using one = new TestNode("ka-p1-");
    await using two = new TestNode("ka-p2-");
    const [here, there] = [await one.open("bpf"), await two.open("bpf")];
    const [a, b] = [one.pod("a"), two.pod("b")];
    using left = new Tun(one.mesh, "t0", mtu);
    using right = new Tun(two.mesh, "t0", mtu);
    using _ = joinTuns(left, right);
    await make(here, [...end("a", a), ...l3("a", a, "b"), ...crossTun("p-a", "a")]);
    await make(there, [...end("b", b), ...l3("b", b, "a"), ...crossTun("p-b", "b")]);
    await reachesAll(a);
    await carriesTcp(a, b);
    assert.ok(left.passed > 20, "all of it went through the device");
    const wanted = crossTun("p-a", "a");
    assert.deepEqual(
      differences(
        wanted,
        (await here.find(["p-a", "t0"], wanted)).filter(({ kind }) => kind === "redirect"),
      ),
      [],
    );
  });

  it("are refused without eBPF, with a way out", async () => {
    await using node = new TestNode("ka-p-");
    const kernel = await node.open("tc");
    using _ = new Tun(node.mesh, "t0", mtu);
    await make(kernel, end("a", node.pod("a")));
    const [failure] = await kernel.apply(crossTun("p-a", "a").slice(1).map(add));
    assert.match(
      failure?.error.message ?? "",
      /cannot be joined to a port; use Linux 5.10 or newer and allow bpf\(2\), or the mechanism NODE_TUNNEL/,
    );
  });
});

describe("the mesh by itself", () => {
  it("sends nothing: no duplicate detection, no multicast reports, no solicitations", async () => {
    await using node = new TestNode("ka-p-");
    const kernel = await node.open();
    const pod = node.pod("a");
    await make(kernel, [
      ...end("a", pod),
      ...tunnel({ own: 77, theirs: 88, local: "fd00:1::1", peer: "fd00:1::2", port: "p-a" }).slice(0, 2),
    ]);
    // All of these are sent within a second of a device coming up; the pod's own end sends and is not counted.
    await run("sleep", ["1.5"]);
    const counters = await kernel.counters(["p-a", "x-1"]);
    assert.equal(counters.get("p-a")?.txPackets, 0);
    assert.equal(counters.get("x-1")?.txPackets, 0);
  });
});

/** Two pods of one node with their ports, not joined yet. */
async function pair(node: TestNode, mode: RedirectMode): Promise<{ kernel: Kernel; a: Netns; b: Netns; wanted: KernelObject[] }> {
  const kernel = await node.open(mode);
  const [a, b] = [node.pod("a"), node.pod("b")];
  return { kernel, a, b, wanted: [...end("a", a), ...end("b", b)] };
}

/** A pod's port with addresses and routes to the other side. */
function end(name: "a" | "b", pod: Netns): KernelObject[] {
  const other = name === "a" ? "b" : "a";
  return [
    { ...port(`p-${name}`, pod), podMac: macs[name], mtu },
    ...addresses[name].map((text): KernelObject => ({ kind: "address", where: pod, device: "nsm0", address: full(text) })),
    ...addresses[other].map((text): KernelObject => ({ kind: "route", where: pod, device: "nsm0", prefix: full(text) })),
  ];
}

/** Nobody answers ARP or neighbour discovery behind such a device. */
function l3(_: "a" | "b", pod: Netns, other: "a" | "b"): KernelObject[] {
  return addresses[other].map((address) => ({ kind: "neighbour", where: pod, device: "nsm0", address, mac: macs[other] }));
}

function full(address: string): string {
  return `${address}/${address.includes(":") ? 128 : 32}`;
}

function redirect(from: string, to: string, by: "peer" | "device"): KernelObject {
  return { kind: "redirect", from, to, by };
}

function crossTun(name: string, own: "a" | "b"): KernelObject[] {
  const ethernet = { destination: macs[own], source: macs[own === "a" ? "b" : "a"] };
  return [redirect(name, "t0", "device"), { kind: "redirect", from: "t0", to: name, by: "peer", ethernet }];
}

function tunnel(ends: { own: number; theirs: number; local: string; peer: string; port: string }): KernelObject[] {
  const alias = "isthmus:c1:tunnel";
  return [
    { kind: "vxlan", name: "x-1", alias, vni: ends.own, udpPort: 4789, local: ends.local, madeIn: "mesh", mtu },
    { kind: "vxlan-remote", device: "x-1", address: ends.peer, vni: ends.theirs },
    redirect(ends.port, "x-1", "device"),
    redirect("x-1", ends.port, "peer"),
  ];
}

/** A wire with ULA addresses between two mesh namespaces, in place of WireGuard. */
async function underlay(one: TestNode, here: Kernel, two: TestNode, there: Kernel): Promise<void> {
  ip(one.mesh, "link", "add", "wg0", "mtu", "1500", "type", "veth", "peer", "name", "wg0", "mtu", "1500", "netns", nameOf(two.mesh));
  for (const node of [one, two]) ip(node.mesh, "link", "set", "wg0", "up");
  await make(here, [{ kind: "address", where: "mesh", device: "wg0", address: "fd00:1::1/64" }]);
  await make(there, [{ kind: "address", where: "mesh", device: "wg0", address: "fd00:1::2/64" }]);
}

async function reachesAll(pod: Netns, to: readonly string[] = addresses.b): Promise<void> {
  for (const address of to) {
    // 28 and 48 bytes are headers: full frames, and none may be cut.
    const size = String(mtu - (address.includes(":") ? 48 : 28));
    const done = await inPod(pod, "ping", "-n", "-c", "3", "-i", "0.02", "-W", "2", "-M", "do", "-s", size, address);
    assert.equal(done.code, 0, `${address}: ${done.stdout}${done.stderr}`);
  }
}

async function silence(pod: Netns): Promise<void> {
  const done = await inPod(pod, "ping", "-n", "-c", "2", "-i", "0.1", "-W", "1", addresses.b[0]);
  assert.notEqual(done.code, 0, "VXLAN of a pair that nobody wants is dropped");
}

function inPod(pod: Netns, ...command: string[]): ReturnType<typeof run> {
  return run("nsenter", [`--net=${pod.path}`, "--", ...command]);
}

/** Eight megabytes each way over both families come through unharmed. */
async function carriesTcp(client: Netns, server: Netns): Promise<void> {
  const pattern = createHash("sha256").update("isthmus").digest();
  const bytes = Buffer.alloc(8 * 1024 * 1024, pattern);
  for (const host of addresses.b) {
    const accepted: net.Socket[] = [];
    const echo = net.createServer((socket) => accepted.push(socket.pipe(socket)));
    within(server, () => echo.listen(7000));
    const stream = new net.Socket({ fd: within(client, () => connecting(host, 7000)) });
    try {
      const back = received(stream, bytes.length);
      stream.write(bytes);
      assert.ok((await back).equals(bytes), `what came back over ${host} is what was sent`);
    } finally {
      // Each end by itself: the namespaces go before one could hear of the other's end.
      for (const end of [stream, ...accepted]) end.destroy();
      echo.close();
    }
  }
}

/** Begins before it returns: `net.connect` would do so a moment later, in the namespace of that moment. */
function connecting(host: string, port: number): number {
  const bytes = ipBytes(host);
  const fd = socket(familyOf(bytes), SOCK_STREAM | SOCK_NONBLOCK, 0);
  const target = Buffer.alloc(bytes.length === 4 ? 16 : 28);
  target.writeUInt16LE(familyOf(bytes), 0);
  target.writeUInt16BE(port, 2);
  target.set(bytes, bytes.length === 4 ? 4 : 8);
  assert.throws(() => connect(fd, target), /EINPROGRESS/);
  return fd;
}

function received(socket: net.Socket, length: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let total = 0;
    socket.on("error", reject);
    socket.setTimeout(5000, () => reject(new Error(`only ${total} of ${length} bytes came back`)));
    socket.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      total += chunk.length;
      if (total >= length) resolve(Buffer.concat(chunks));
    });
  });
}
