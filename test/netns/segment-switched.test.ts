import assert from "node:assert/strict";
import type { Bridge, Guard, Kernel, Netns, Port, Vxlan } from "../../kernel/model.js";
import { linkLocalOf, macBytes } from "../../kernel/netlink/ip.js";
import { behindLimit, floodLimit } from "../../kernel/switchedRules.js";
import { run } from "../lib/command.js";
import { until } from "../lib/until.js";
import { make, replace, settle } from "../suite/kernel.js";
import {
  allNodes,
  arp,
  discovery,
  ethernet,
  everyone,
  experimental,
  icmp6,
  ip4,
  isType,
  linkLayer,
  segmentSize,
  syn,
  tagged,
  udp4,
  Wire,
} from "./frames.js";
import { ip } from "./kernelWorld.js";
import { joinMeshes, SegmentNode } from "./segmentWorld.js";
import { addressesOf, guardOf, joined, type Member, macOf, members, node } from "./switchedWorld.js";

const [a, b, c] = ["a", "b", "c"] as const;
const stranger = "02:00:00:00:00:99";

describe("a switched segment over two nodes", () => {
  let nodes: readonly [SegmentNode, SegmentNode];
  let kernels: readonly [Kernel, Kernel];
  const pods = new Map<Member, Netns>();
  const wires = new Map<Member, Wire>();
  let marks = 0;

  before(async () => {
    nodes = [new SegmentNode("ka-w1-", "l2"), new SegmentNode("ka-w2-", "l2")];
    await joinMeshes(...nodes);
    kernels = [await nodes[0].open(), await nodes[1].open()];
    for (const own of [0, 1] as const) await make(kernels[own], node(own));
    for (const member of members) {
      const { own } = member;
      const pod = nodes[own].node.pod(member.name);
      pods.set(member.name, pod);
      await make(kernels[own], joined(member.name, pod));
      wires.set(member.name, new Wire(pod, "nsm0"));
    }
  });
  after(async () => {
    for (const wire of wires.values()) wire[Symbol.dispose]();
    for (const each of nodes) await each[Symbol.asyncDispose]();
  });

  it("carries full frames between members of a node and of two, in both families", async () => {
    for (const to of [b, c])
      for (const address of addressesOf(to)) await reaches(a, address, String(1400 - (address.includes(":") ? 48 : 28)));
  });

  it("tells whoever opens a TCP connection of segments that fit, as its size changes, and raises none", async () => {
    const wide = node(0).find((object) => object.kind === "bridge") as Bridge;
    const narrow = { ...wide, mtu: 1280 };
    const told = async (to: Member) => [await sizeAt(to, 0, 1460), await sizeAt(to, 1, 1440), await sizeAt(to, 0, 536)];
    for (const to of [b, c]) assert.deepEqual(await told(to), [1360, 1340, 536]);
    await replace(kernels[0], wide, narrow);
    for (const to of [b, c]) assert.deepEqual(await told(to), [1240, 1220, 536]);
    await replace(kernels[0], narrow, wide);
    assert.deepEqual(await told(c), [1360, 1340, 536]);
  });

  it("answers a question for a known member of another node by itself, and keeps it from crossing", async () => {
    const [four, six] = addressesOf(c);
    const [mine4, mine6] = addressesOf(a);
    const request = ethernet(everyone, macOf(a), 0x0806, arp("request", { mac: macOf(a), ip: mine4 }, four), mark());
    const answer = Buffer.concat([Buffer.from("0002", "hex"), macBytes(macOf(c))]);
    assert.deepEqual(await whoHears(a, request), [b]);
    await wireOf(a).hears("the answer by ARP", (frame) => isType(frame, 0x0806) && frame.includes(answer));
    const solicitation = icmp6(mine6, "ff02::1", discovery(135, six, linkLayer(1, macOf(a))));
    assert.deepEqual(await whoHears(a, ethernet(allNodes, macOf(a), 0x86dd, solicitation, mark())), [b]);
    const advertised = Buffer.concat([Uint8Array.of(2, 1), macBytes(macOf(c))]);
    await wireOf(a).hears("the answer by ND", (frame) => isType(frame, 0x86dd) && frame[54] === 136 && frame.includes(advertised));
  });

  it("asks the other node for an address that it does not know", async () => {
    const request = arp("request", { mac: macOf(a), ip: addressesOf(a)[0] }, "10.70.0.99");
    assert.deepEqual(await whoHears(a, ethernet(everyone, macOf(a), 0x0806, request, mark())), [b, c]);
  });

  it("does not flood frames for a MAC address that it does not know, unless the segment wants it", async () => {
    const frame = () => ethernet(stranger, macOf(a), experimental, mark());
    assert.deepEqual(await whoHears(a, frame()), []);
    const vxlan = node(0).find((object) => object.kind === "vxlan") as Vxlan;
    const flooding: Vxlan = { ...vxlan, bridge: vxlan.bridge && { ...vxlan.bridge, flood: true } };
    await replace(kernels[0], vxlan, flooding);
    // The other node keeps it from its members.
    const before = await sentTo(0, "x-1");
    wireOf(a).send(frame());
    assert.equal((await sentTo(0, "x-1")) - before >= 1, true);
    await replace(kernels[0], flooding, vxlan);
  });

  it("leads a frame to the one member that has the MAC address", async () => {
    assert.deepEqual(await whoHears(a, ethernet(macOf(c), macOf(a), experimental, mark())), [c]);
    assert.deepEqual(await whoHears(a, ethernet(macOf(b), macOf(a), experimental, mark())), [b]);
  });

  const [a4, a6] = addressesOf(a);
  const [c4, c6] = addressesOf(c);
  const own = { mac: macOf(a), ip: a4 };
  const fromA = (type: number, ...payload: Buffer[]) => ethernet(type === 0x86dd ? allNodes : everyone, macOf(a), type, ...payload, mark());
  const nd = (source: string, message: Buffer) => fromA(0x86dd, icmp6(source, "ff02::1", message));
  const allowed: [what: string, frame: () => Buffer, hearers?: Member[]][] = [
    ["a frame of a protocol of its own", () => fromA(experimental)],
    ["a packet from its IPv4 address", () => fromA(0x0800, udp4(a4, "255.255.255.255", Buffer.alloc(1)))],
    ["a packet from no IPv4 address to all, as for DHCP", () => fromA(0x0800, udp4("0.0.0.0", "255.255.255.255", Buffer.alloc(1)))],
    ["a packet from its IPv6 address", () => nd(a6, Buffer.from("8000000000010001", "hex"))],
    ["a packet from its link-local address", () => nd(linkLocalOf(macOf(a)), Buffer.from("8000000000010001", "hex"))],
    ["an ARP reply for its address", () => fromA(0x0806, arp("reply", own, c4))],
    ["an ARP probe", () => fromA(0x0806, arp("request", { ...own, ip: "0.0.0.0" }, a4)), [b]],
    ["an advertisement of its address", () => nd(a6, discovery(136, a6, linkLayer(2, macOf(a))))],
    ["an advertisement without an option", () => nd(a6, discovery(136, a6))],
    // The other node tells its members of this one's by itself.
    ["a solicitation for duplicates of its address", () => nd("::", discovery(135, a6, Buffer.from("0e01112233445566", "hex"))), [b]],
  ];
  for (const [what, frame, hearers = [b, c]] of allowed) {
    it(`lets a member send ${what}`, async () => {
      const before = await counted(a);
      assert.deepEqual(await whoHears(a, frame()), hearers);
      assert.deepEqual(await counted(a), before);
    });
  }

  const forbidden: [what: string, frame: () => Buffer][] = [
    ["a frame from another member's MAC address", () => ethernet(everyone, macOf(c), experimental, mark())],
    ["a frame from nobody's MAC address", () => ethernet(everyone, stranger, experimental, mark())],
    ["a packet from another member's IPv4 address", () => fromA(0x0800, udp4(c4, "255.255.255.255", Buffer.alloc(1)))],
    [
      "a packet from no IPv4 address to one",
      () => ethernet(macOf(b), macOf(a), 0x0800, udp4("0.0.0.0", "10.70.0.3", Buffer.alloc(1)), mark()),
    ],
    ["a packet from another member's IPv6 address", () => nd(c6, Buffer.from("8000000000010001", "hex"))],
    ["a packet from another member's link-local address", () => nd(linkLocalOf(macOf(c)), Buffer.from("8000000000010001", "hex"))],
    ["an ARP reply for another member's address", () => fromA(0x0806, arp("reply", { ...own, ip: c4 }, a4))],
    ["an ARP reply with another member's MAC address", () => fromA(0x0806, arp("reply", { ...own, mac: macOf(c) }, c4))],
    ["an ARP message that is cut short", () => fromA(0x0806).subarray(0, 20)],
    ["an advertisement of another member's address", () => nd(a6, discovery(136, c6, linkLayer(2, macOf(a))))],
    ["an advertisement with another MAC address", () => nd(a6, discovery(136, a6, linkLayer(2, macOf(c))))],
    ["an advertisement with two options", () => nd(a6, discovery(136, a6, linkLayer(2, macOf(a)), linkLayer(2, macOf(c))))],
    ["a solicitation with another MAC address", () => nd(a6, discovery(135, c6, linkLayer(1, macOf(c))))],
    ["a solicitation for duplicates of another member's address", () => nd("::", discovery(135, c6))],
    ["a router advertisement", () => nd(linkLocalOf(macOf(a)), Buffer.from("86000000400807080000000000000000", "hex"))],
    ["a redirect", () => nd(linkLocalOf(macOf(a)), Buffer.concat([Buffer.from("8900000000000000", "hex"), Buffer.alloc(32)]))],
    ["a question who listens to multicast", () => fromA(0x0800, ip4(a4, "224.0.0.1", 2, Buffer.from("1164ee9b00000000", "hex")))],
    ["the same over IPv6", () => nd(linkLocalOf(macOf(a)), Buffer.concat([Buffer.from("8200000000000000", "hex"), Buffer.alloc(16)]))],
    ["a frame with a VLAN tag", () => tagged(fromA(0x0800, udp4(c4, "255.255.255.255", Buffer.alloc(1))), 5)],
    ["a frame with the tag of VLAN 0", () => tagged(fromA(0x0800, udp4(c4, "255.255.255.255", Buffer.alloc(1))), 0)],
    ["a frame with a provider's tag", () => tagged(fromA(0x0800, udp4(c4, "255.255.255.255", Buffer.alloc(1))), 5, 0x88a8)],
  ];
  for (const [what, frame] of forbidden) {
    it(`drops and counts ${what}`, async () => {
      const before = await counted(a);
      await heldBack(a, frame());
      assert.equal((await counted(a)).flooded, before.flooded);
    });
  }

  it("sends multicast only to those who listen, once it has asked", async function () {
    this.timeout(30_000);
    ip(podOf(c), "address", "add", "239.7.7.7/32", "dev", "nsm0", "autojoin");
    const frame = () => ethernet("01:00:5e:07:07:07", macOf(a), 0x0800, udp4(a4, "239.7.7.7", Buffer.alloc(1)), mark());
    const heard = async () => (await whoHears(a, frame())).join() === c;
    await until("only the listener on the other node hears it", 20_000, heard);
    assert.ok(await heard());
    const mine = () => ethernet("01:00:5e:07:07:08", macOf(a), 0x0800, udp4(a4, "239.7.7.8", Buffer.alloc(1)), mark());
    assert.deepEqual(await whoHears(a, mine()), [], "nobody listens to this one");
    ip(podOf(b), "address", "add", "239.7.7.8/32", "dev", "nsm0", "autojoin");
    await until("only the listener on its own node hears it", 2_000, async () => (await whoHears(a, mine())).join() === b);
  });

  it("keeps a flooding member to the limit, tells of it, and does not slow down its other frames, or other members", async () => {
    const count = floodLimit.burst + 4_000;
    const before = { heard: await sentTo(1, "p-c"), flooded: (await counted(a)).flooded };
    const frame = ethernet(everyone, macOf(a), experimental, Buffer.from("flood"));
    const started = performance.now();
    for (let sent = 0; sent < count; sent++) wireOf(a).send(frame);
    assert.deepEqual(await whoHears(b, ethernet(macOf(c), macOf(b), experimental, mark())), [c]);
    const most = floodLimit.burst + ((performance.now() - started) / 1000 + 0.1) * floodLimit.perSecond;
    const heard = (await sentTo(1, "p-c")) - before.heard;
    assert.ok(heard >= floodLimit.burst && heard <= most, `${heard} of ${count} came, at most ${most} may`);
    const flooded = (await counted(a)).flooded - before.flooded;
    assert.ok(flooded >= count - most && flooded <= count - floodLimit.burst, `${flooded} of ${count} are told of`);
    assert.deepEqual(await whoHears(a, ethernet(macOf(c), macOf(a), experimental, mark())), [c]);
    assert.deepEqual(await whoHears(b, ethernet(everyone, macOf(b), experimental, mark())), [a, c]);
  });

  it("lets a member that may spoof send anything, but not more", async () => {
    const guard = guardOf(b);
    const open: Guard = { ...guard, spoofing: true };
    await replace(kernels[0], guard, open);
    const before = await counted(b);
    assert.deepEqual(await whoHears(b, ethernet(everyone, stranger, experimental, mark())), [a, c]);
    assert.deepEqual(await whoHears(b, tagged(ethernet(everyone, macOf(b), 0x0800, udp4(c4, c4, Buffer.alloc(1)), mark()), 5)), [a, c]);
    for (let sent = 0; sent < floodLimit.burst + 1_000; sent++) wireOf(b).send(ethernet(everyone, stranger, experimental, Buffer.alloc(9)));
    const after = await counted(b);
    assert.equal(after.spoofed, before.spoofed);
    assert.ok(after.flooded > before.flooded);
    await replace(kernels[0], open, guard);
    await heldBack(b, ethernet(macOf(c), stranger, experimental, mark()));
  });

  it("lets a member that may spoof send from so many MAC addresses, and from those for good", async () => {
    const guard = guardOf(b);
    const open: Guard = { ...guard, spoofing: true };
    await replace(kernels[0], guard, open);
    const before = await counted(b);
    const more = 30;
    const sources = Array.from({ length: behindLimit.burst + more }, (_, at) => `02:00:00:00:02:${(at + 16).toString(16)}`);
    for (const source of sources) wireOf(b).send(ethernet(macOf(c), source, experimental, Buffer.from(`from ${source}`)));
    assert.deepEqual(await whoHears(b, ethernet(macOf(c), macOf(b), experimental, mark())), [c], "its own is not counted");
    const heard = sources.filter((source) =>
      wireOf(c)
        .heard()
        .some((frame) => frame.includes(`from ${source}`)),
    );
    // It has sent from another one before, and one is given back in 5 s.
    assert.ok(heard.length <= behindLimit.burst + 2 && heard.length >= behindLimit.burst - 2, `${heard.length} came`);
    assert.equal((await counted(b)).spoofed - before.spoofed, sources.length - heard.length);
    assert.deepEqual(await whoHears(b, ethernet(macOf(c), sources[0] ?? "", experimental, mark())), [c]);
    await replace(kernels[0], open, guard);
  });

  it("leads frames to members also after one that may spoof has sent from their MAC addresses", async () => {
    const guard = guardOf(b);
    const open: Guard = { ...guard, spoofing: true };
    const usual = joined(b, podOf(b)).find((object) => object.kind === "port") as Port;
    const learning: Port = { ...usual, bridge: usual.bridge && { ...usual.bridge, learning: true } };
    await replace(kernels[0], guard, open);
    await replace(kernels[0], usual, learning);
    for (const of of [a, c]) wireOf(b).send(ethernet(everyone, macOf(of), experimental, mark()));
    wireOf(b).send(ethernet(everyone, stranger, experimental, mark()));
    assert.deepEqual(await whoHears(a, ethernet(stranger, macOf(a), experimental, mark())), [b], "who is behind it is learned");
    assert.deepEqual(await whoHears(a, ethernet(macOf(c), macOf(a), experimental, mark())), [c]);
    assert.deepEqual(await whoHears(b, ethernet(macOf(a), macOf(b), experimental, mark())), [a]);
    await replace(kernels[0], learning, usual);
    await replace(kernels[0], open, guard);
  });

  it("lets a port without a guard send nothing", async () => {
    const guard = guardOf(b);
    await kernels[0].apply([{ op: "delete", key: "guard p-b", old: guard }]);
    await heldBack(b, ethernet(macOf(c), macOf(b), experimental, mark()));
    await make(kernels[0], [guard]);
    assert.deepEqual(await whoHears(b, ethernet(macOf(c), macOf(b), experimental, mark())), [c]);
  });

  it("lets nobody send anything after its rules were taken away, until all is there again", async () => {
    assert.equal((await run("nsenter", [`--net=${nodes[0].netns.path}`, "nft", "delete", "table", "bridge", "isthmus"])).code, 0);
    await kernels[0].overview();
    const frame = () => ethernet(macOf(c), macOf(a), experimental, mark());
    await heldBack(a, frame());
    const wanted = [...node(0), ...[a, b].flatMap((member) => joined(member, podOf(member)))];
    await settle(kernels[0], wanted);
    assert.deepEqual(await whoHears(a, frame()), [c]);
    for (const address of addressesOf(c)) await reaches(a, address);
  });

  it("keeps questions for the namespace's own address on the node", async () => {
    const asks = arp("request", own, "169.254.1.1");
    assert.deepEqual(await whoHears(a, ethernet(everyone, macOf(a), 0x0806, asks, mark())), [b]);
    const solicits = nd(a6, discovery(135, "fe80::1", linkLayer(1, macOf(a))));
    assert.deepEqual(await whoHears(a, solicits), [b]);
  });

  /** The size of segments that comes to a member where another one asks for that. */
  async function sizeAt(to: Member, family: 0 | 1, size: number): Promise<number | undefined> {
    // The answer bears the next one.
    const sequence = Buffer.from(`${mark().toString().slice(-3)}z`);
    const packet = syn(addressesOf(a)[family], addressesOf(to)[family], size, sequence);
    wireOf(a).send(ethernet(macOf(to), macOf(a), family === 0 ? 0x0800 : 0x86dd, packet));
    return segmentSize(await wireOf(to).hears("the packet that opens a connection", (frame) => frame.includes(sequence)));
  }

  function podOf(member: Member): Netns {
    const pod = pods.get(member);
    assert.ok(pod !== undefined);
    return pod;
  }

  function wireOf(member: Member): Wire {
    const wire = wires.get(member);
    assert.ok(wire !== undefined);
    return wire;
  }

  /** Something that stands in one frame only. */
  function mark(): Buffer {
    return Buffer.from(`mark ${String(++marks).padStart(6, "0")}`);
  }

  /** Which members a frame with a mark comes to. Frames keep their order, so one to each that is let through tells when to look. */
  async function whoHears(from: Member, frame: Buffer): Promise<Member[]> {
    wireOf(from).send(frame);
    for (const to of othersThan(from)) {
      const last = mark();
      wireOf(from).send(ethernet(macOf(to), macOf(from), experimental, last));
      await wireOf(to).hears(`the frame after it at ${to}`, (heard) => heard.includes(last));
    }
    return hearersOf(from, frame);
  }

  /** The frame is dropped and counted, and comes to nobody. */
  async function heldBack(from: Member, frame: Buffer): Promise<void> {
    const { spoofed } = await counted(from);
    wireOf(from).send(frame);
    await until("it is counted", 1_000, async () => (await counted(from)).spoofed === spoofed + 1);
    assert.deepEqual(hearersOf(from, frame), []);
  }

  function hearersOf(from: Member, frame: Buffer): Member[] {
    const told = frame.subarray(-mark().length);
    return othersThan(from).filter((to) =>
      wireOf(to)
        .heard()
        .some((heard) => heard.includes(told)),
    );
  }

  function othersThan(from: Member): Member[] {
    return members.map(({ name }) => name).filter((name) => name !== from);
  }

  async function reaches(member: Member, address: string, size = "56"): Promise<void> {
    const done = await run("nsenter", [`--net=${podOf(member).path}`, "ping", "-n", "-c", "1", "-W", "2", "-M", "do", "-s", size, address]);
    assert.equal(done.code, 0, `${member} to ${address}: ${done.stdout}${done.stderr}`);
  }

  async function counted(member: Member): Promise<{ spoofed: number; flooded: number }> {
    const name = `p-${member}`;
    const { spoofed = -1, flooded = -1 } = (await kernels[0].counters([name])).get(name) ?? {};
    return { spoofed, flooded };
  }

  async function sentTo(own: 0 | 1, device: string): Promise<number> {
    return (await kernels[own].counters([device])).get(device)?.txPackets ?? -1;
  }
});
