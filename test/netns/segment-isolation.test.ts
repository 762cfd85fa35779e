import assert from "node:assert/strict";
import type { Netns } from "../../kernel/model.js";
import { make } from "../suite/kernel.js";
import { arp, ethernet, everyone, experimental, Wire } from "./frames.js";
import { joinMeshes, SegmentNode } from "./segmentWorld.js";
import { addressesOf, joined, type Member, macOf, members, node } from "./switchedWorld.js";

const segments = [0, 1] as const;
type Segment = (typeof segments)[number];

/** This pod is in both. */
const both: Member = "b";

describe("two switched segments on the same nodes, with the same addresses and the same MAC addresses", () => {
  const wires = [new Map<Member, Wire>(), new Map<Member, Wire>()] as const;
  const made: SegmentNode[] = [];
  let marks = 0;

  before(async () => {
    const nodes = [new SegmentNode("ka-i1-", "l2"), new SegmentNode("ka-i2-", "l2")] as const;
    await joinMeshes(...nodes);
    const twins = nodes.map((on, at) => new SegmentNode(`ka-j${at + 1}-`, "l2", on));
    made.push(...twins, ...nodes);
    const shared = nodes[0].node.pod(both);
    for (const segment of segments)
      for (const own of [0, 1] as const) {
        const one = (segment === 0 ? nodes : twins)[own] ?? assert.fail("there are two nodes");
        const kernel = await one.open();
        await make(kernel, node(own, segment));
        for (const { name } of members.filter((member) => member.own === own)) {
          const pod: Netns = name === both ? shared : one.node.pod(`${name}${segment}`);
          const device = name === both ? `nsm${segment}` : "nsm0";
          await make(kernel, joined(name, pod, device));
          wires[segment].set(name, new Wire(pod, device));
        }
      }
  });
  after(async () => {
    for (const wire of wires.flatMap((each) => [...each.values()])) wire[Symbol.dispose]();
    for (const each of made) await each[Symbol.asyncDispose]();
  });

  for (const { name: from } of members)
    for (const segment of segments)
      it(`take nothing of what ${from} of segment ${segment} sends, to all or to one, into the other`, async () => {
        const others = members.map(({ name }) => name).filter((name) => name !== from);
        const [four] = addressesOf(from);
        const sent = [mark(), mark(), ...others.map(mark)];
        const [toAll, asked, ...toOne] = sent as [Buffer, Buffer, ...Buffer[]];
        const wire = wireOf(segment, from);
        wire.send(ethernet(everyone, macOf(from), experimental, toAll));
        wire.send(ethernet(everyone, macOf(from), 0x0806, arp("request", { mac: macOf(from), ip: four }, "10.70.0.99"), asked));
        for (const [at, to] of others.entries()) wire.send(ethernet(macOf(to), macOf(from), experimental, toOne[at] ?? toAll));
        for (const [at, to] of others.entries()) {
          // Frames keep their order, so what was sent before came before.
          await wireOf(segment, to).hears(`its frame at ${to}`, (frame) => frame.includes(toOne[at] ?? toAll));
          assert.deepEqual(heardBy(segment, to, sent), [toAll, asked, toOne[at]].map(String), `${to} of the same segment`);
        }
        await untilQuiet(other(segment));
        for (const { name: to } of members) assert.deepEqual(heardBy(other(segment), to, sent), [], `${to} of the other segment`);
      });

  /** What each of its members was sent before has come by then. */
  async function untilQuiet(segment: Segment): Promise<void> {
    for (const { name: from } of members)
      for (const { name: to } of members.filter(({ name }) => name !== from)) {
        const last = mark();
        wireOf(segment, from).send(ethernet(macOf(to), macOf(from), experimental, last));
        await wireOf(segment, to).hears(`the frame from ${from} at ${to}`, (frame) => frame.includes(last));
      }
  }

  function heardBy(segment: Segment, member: Member, sent: readonly Buffer[]): string[] {
    const heard = wireOf(segment, member).heard();
    return sent.filter((each) => heard.some((frame) => frame.includes(each))).map(String);
  }

  function wireOf(segment: Segment, member: Member): Wire {
    return wires[segment].get(member) ?? assert.fail(`${member} is in the segment`);
  }

  function other(segment: Segment): Segment {
    return segment === 0 ? 1 : 0;
  }

  /** Something that stands in one frame only. */
  function mark(): Buffer {
    return Buffer.from(`mark ${String(++marks).padStart(6, "0")}`);
  }
});
