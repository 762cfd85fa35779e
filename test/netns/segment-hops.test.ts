import assert from "node:assert/strict";
import type { KernelObject, Netns, Route } from "../../kernel/model.js";
import { check } from "../lib/command.js";
import { make, replace } from "../suite/kernel.js";
import { full, joined, node, podMacOf, viaOf } from "./routedWorld.js";
import { joinMeshes, SegmentNode } from "./segmentWorld.js";

const flows = 60;
const shared = { 4: "10.99.0.1", 6: "fd99::1" } as const;

describe("a route with several gateways", () => {
  for (const family of [4, 6] as const) {
    it(`leads flows to members of several nodes that have one address, over IPv${family}, and all to the one that is left`, async () => {
      await using one = new SegmentNode("ka-h1-", "l3");
      await using two = new SegmentNode("ka-h2-", "l3");
      await using three = new SegmentNode("ka-h3-", "l3");
      const nodes = [one, two, three];
      await joinMeshes(...nodes);
      const [asking, second, third] = await Promise.all(nodes.map((each, own) => memberOf(each, own, own === 0 ? [] : [shared[family]])));
      assert.ok(asking !== undefined && second !== undefined && third !== undefined);
      const heard = async () => [await datagrams(second), await datagrams(third)] as const;

      const kernel = await one.open();
      const both: Route = { kind: "route", where: "mesh", device: "x-1", prefix: full(shared[family]), hops: [viaOf(1), viaOf(2)] };
      await make(kernel, [both]);
      await sendFlows(asking, shared[family]);
      const [some, others] = await heard();
      assert.equal(some + others, flows, "each came to one of them");
      assert.ok(some > 0 && others > 0, `${some} and ${others} of ${flows}`);

      await replace(kernel, both, { ...both, hops: [viaOf(2)] });
      await sendFlows(asking, shared[family]);
      assert.deepEqual(await heard(), [some, others + flows]);
    });
  }
});

/** The one member of a node; `anycast` are addresses that it has beside its own. */
async function memberOf(segment: SegmentNode, own: number, anycast: readonly string[]): Promise<Netns> {
  const kernel = await segment.open();
  const place = { name: "a", own, host: 2 };
  const pod = segment.node.pod("a");
  const others = [0, 1, 2].filter((other) => other !== own);
  const shared = anycast.flatMap((address): KernelObject[] => [
    { kind: "address", where: pod, device: "nsm0", address: full(address) },
    { kind: "route", where: "mesh", device: "p-a", prefix: full(address) },
    { kind: "neighbour", where: "mesh", device: "p-a", address, mac: podMacOf(place) },
  ]);
  await make(kernel, [...node(own, others), ...joined(place, pod), ...shared]);
  return pod;
}

/** A datagram from each of so many ports. */
async function sendFlows(from: Netns, address: string): Promise<void> {
  const command = `for n in $(seq ${flows}); do echo > /dev/udp/${address}/9; done`;
  await check("nsenter", [`--net=${from.path}`, "bash", "-c", command]);
}

/** Datagrams that came to a pod; nobody listens to them. */
async function datagrams(pod: Netns): Promise<number> {
  const printed = await check("nsenter", [`--net=${pod.path}`, "nstat", "-asz", "UdpNoPorts", "Udp6NoPorts"]);
  return [...printed.matchAll(/NoPorts +(\d+)/g)].reduce((sum, [, count]) => sum + Number(count), 0);
}
