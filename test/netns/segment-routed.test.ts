import assert from "node:assert/strict";
import type { Kernel, Netns, Route } from "../../kernel/model.js";
import { check, type Finished, run } from "../lib/command.js";
import { until } from "../lib/until.js";
import { make, replace } from "../suite/kernel.js";
import { gatewayMac } from "../suite/kernelSegment.js";
import { ethernet, segmentSize, syn, Wire } from "./frames.js";
import { ip } from "./kernelWorld.js";
import { addressesOf, full, joined, node, type Place, podMacOf, portMtu, tunnelMtu } from "./routedWorld.js";
import { joinMeshes, SegmentNode } from "./segmentWorld.js";

const [first, second] = [0, 1] as const;
const members = { a: [first, 2], b: [first, 3], c: [second, 2] } as const;
type Member = keyof typeof members;

describe("a routed segment over two nodes", () => {
  let nodes: readonly [SegmentNode, SegmentNode];
  let kernels: readonly [Kernel, Kernel];
  const pods = new Map<Member, Netns>();
  let opened = 0;

  before(async () => {
    nodes = [new SegmentNode("ka-r1-", "l3"), new SegmentNode("ka-r2-", "l3")];
    await joinMeshes(...nodes);
    kernels = [await nodes[first].open(), await nodes[second].open()];
    for (const own of [first, second]) await make(kernels[own], node(own, [1 - own]));
    for (const member of Object.keys(members) as Member[]) {
      const [own] = members[member];
      const pod = nodes[own].node.pod(member);
      pods.set(member, pod);
      await make(kernels[own], joined(place(member), pod));
    }
  });
  after(async () => {
    for (const each of nodes) await each[Symbol.asyncDispose]();
  });

  it("carries packets between members of a node and of two, in both families", async () => {
    for (const to of ["b", "c"] as const) for (const address of addressesAt(to)) await reaches("a", address);
  });

  it("shows both routers to a member that asks for the way", async () => {
    const expected = { IPv4: [/From 10.60.0.1 .*Time to live exceeded/, /From 10.60.1.1 .*Time to live exceeded/] };
    const six = [/From fd60::1 .*Time exceeded: Hop limit/, /From fd60:0:0:1::1 .*Time exceeded: Hop limit/];
    for (const [address, hops] of [
      [addressesAt("c")[0], expected.IPv4],
      [addressesAt("c")[1], six],
    ] as const) {
      for (const [hop, words] of hops.entries()) assert.match((await ping("a", address, "-t", String(hop + 1))).stdout, words);
      assert.equal((await ping("a", address, "-t", "3")).code, 0, "the third hop is the member");
    }
  });

  it("tells a member of packets that are too large for the tunnel", async () => {
    const [four, six] = addressesAt("c");
    assert.match((await ping("a", four, "-M", "do", "-s", String(portMtu - 28))).stdout, /From 10.60.0.1 .*\(mtu = 1300\)/);
    assert.match((await ping("a", six, "-M", "do", "-s", String(portMtu - 48))).stdout, /From fd60::1 .*Packet too big: mtu=1300/);
    assert.equal((await ping("a", four, "-M", "do", "-s", String(tunnelMtu - 28))).code, 0);
    assert.equal((await ping("a", six, "-M", "do", "-s", String(tunnelMtu - 48))).code, 0);
  });

  it("tells whoever opens a TCP connection of segments that fit the way, both ways, and raises none", async () => {
    const told = async (from: Member, to: Member, ...sizes: number[]) => {
      const found = [];
      for (const [family, size] of sizes.entries()) found.push(await sizeAt(from, to, family, size));
      return found;
    };
    assert.deepEqual(await told("a", "b", 1460, 1440), [portMtu - 40, portMtu - 60]);
    assert.deepEqual(await told("a", "c", 1460, 1440), [tunnelMtu - 40, tunnelMtu - 60]);
    assert.deepEqual(await told("a", "c", 536, 1220), [536, 1220]);
    const routes = node(first, [second]).filter((object) => object.kind === "route");
    const narrow = routes.map((route): Route => ({ ...route, mtu: 1280 }));
    for (const [at, route] of routes.entries()) await replace(kernels[first], route, narrow[at] ?? route);
    assert.deepEqual(await told("a", "c", 1460, 1440), [1240, 1220]);
    assert.deepEqual(await told("c", "a", 1460, 1440), [1240, 1220], "the way back is the narrow one");
    for (const [at, route] of routes.entries()) await replace(kernels[first], narrow[at] ?? route, route);
  });

  it("tells a member of an address that nobody has", async () => {
    assert.match((await ping("a", "10.60.200.1")).stdout, /From 10.60.0.1 .*Destination Net Unreachable/);
    assert.match((await ping("a", "fd60:0:0:99::1")).stdout, /From fd60::1 .*Destination unreachable: No route/);
  });

  it("reaches the namespace's own link-local addresses from a pod", async () => {
    await reaches("a", "169.254.1.1");
    await until("the pod's own link-local address is ready", 5_000, async () => (await ping("a", "fe80::1%nsm0")).code === 0);
  });

  const lies: [what: string, from: string, to: Member][] = [
    ["of another member of its node", "10.60.0.3", "c"],
    ["of a member of another node", "10.60.1.2", "b"],
    ["of nobody", "192.0.2.7", "c"],
    ["of its router", "10.60.0.1", "c"],
    ["of another member of its node", "fd60::3", "c"],
    ["of a member of another node", "fd60:0:0:1::2", "b"],
    ["of nobody", "2001:db8::7", "c"],
    ["of its router", "fd60::1", "c"],
  ];
  for (const [what, from, to] of lies) {
    it(`drops and counts what a member sends from ${from}, the address ${what}`, async () => {
      const address = addressesAt(to)[from.includes(":") ? 1 : 0] ?? "";
      await reaches("a", address);
      const before = { heard: await heardBy(to), spoofed: await spoofedBy("a") };
      ip(podOf("a"), "address", "add", full(from), "dev", "nsm0", ...(from.includes(":") ? ["nodad"] : []));
      try {
        assert.equal((await ping("a", address, "-I", from, "-c", "3", "-i", "0.05")).code, 1);
      } finally {
        ip(podOf("a"), "address", "delete", full(from), "dev", "nsm0");
      }
      assert.equal(await heardBy(to), before.heard);
      assert.equal(await spoofedBy("a"), before.spoofed + 3);
      await reaches("a", address);
    });
  }

  it("takes over what a version without clamps left", async () => {
    const inside = (...command: string[]) => check("nsenter", [`--net=${nodes[first].netns.path}`, ...command]);
    await inside("nft", "delete", "chain", "inet", "isthmus", "forward");
    await nodes[first].open();
    assert.match(await inside("nft", "list", "chain", "inet", "isthmus", "forward"), /maxseg size set rt mtu/);
  });

  it("has its rules back after somebody took them away", async () => {
    assert.equal((await run("nsenter", [`--net=${nodes[first].netns.path}`, "nft", "delete", "table", "inet", "isthmus"])).code, 0);
    await kernels[first].overview();
    assert.equal(await spoofedBy("a"), 0);
    ip(podOf("a"), "address", "add", "fd60::3/128", "dev", "nsm0", "nodad");
    assert.equal((await ping("a", addressesAt("c")[1], "-I", "fd60::3")).code, 1);
    ip(podOf("a"), "address", "delete", "fd60::3/128", "dev", "nsm0");
    assert.equal(await spoofedBy("a"), 1);
  });

  /** The size of segments that comes to a member where another one asks for that. */
  async function sizeAt(from: Member, to: Member, family: number, size: number): Promise<number | undefined> {
    using sender = new Wire(podOf(from), "nsm0");
    using receiver = new Wire(podOf(to), "nsm0");
    // The answer bears the next one.
    const sequence = Buffer.from(`${String(++opened).padStart(3, "0")}z`);
    const packet = syn(addressesAt(from)[family] ?? "", addressesAt(to)[family] ?? "", size, sequence);
    sender.send(ethernet(gatewayMac, podMacOf(place(from)), family === 0 ? 0x0800 : 0x86dd, packet));
    return segmentSize(await receiver.hears("the packet that opens a connection", (frame) => frame.includes(sequence)));
  }

  function place(member: Member): Place {
    const [own, host] = members[member];
    return { name: member, own, host };
  }

  function addressesAt(member: Member): readonly [four: string, six: string] {
    return addressesOf(place(member));
  }

  function podOf(member: Member): Netns {
    const pod = pods.get(member);
    assert.ok(pod !== undefined);
    return pod;
  }

  function ping(member: Member, address: string, ...options: string[]): Promise<Finished> {
    return run("nsenter", [`--net=${podOf(member).path}`, "--", "ping", "-n", "-c", "1", "-W", "1", ...options, address]);
  }

  async function reaches(member: Member, address: string): Promise<void> {
    const done = await ping(member, address);
    assert.equal(done.code, 0, `${member} to ${address}: ${done.stdout}${done.stderr}`);
  }

  /** Echo requests that came to a pod. */
  async function heardBy(member: Member): Promise<number> {
    const { stdout } = await run("nsenter", [`--net=${podOf(member).path}`, "nstat", "-asz", "IcmpInEchos", "Icmp6InEchos"]);
    const counts = [...stdout.matchAll(/InEchos +(\d+)/g)].map(([, count]) => Number(count));
    assert.equal(counts.length, 2);
    return counts.reduce((sum, count) => sum + count, 0);
  }

  async function spoofedBy(member: Member): Promise<number> {
    return (await kernels[members[member][0]].counters([`p-${member}`])).get(`p-${member}`)?.spoofed ?? -1;
  }
});
