import assert from "node:assert/strict";
import { keyOf } from "../../kernel/difference.js";
import type { KernelObject, Netns, Route } from "../../kernel/model.js";
import { differences, make, next, port, quiet, replace } from "./kernel.js";
import { policyOf, policyTests } from "./kernelPolicy.js";
import { gatewayMac, type SegmentWorld, segmentTests, segmentVxlan, type Test } from "./kernelSegment.js";

/** The contract of every kernel for the namespace of a routed segment. */
export function routedSegmentSuite(name: string, create: () => Promise<SegmentWorld>): void {
  describe(`the kernel contract for routed segments: ${name}`, () => {
    const test = segmentTests(create, routed);
    describe("routes with several gateways", () => hops(test));
    describe("policies", () => policyTests(test, "l3"));
  });
}

function hops(test: Test): void {
  const [one, two, three] = ["fe80::2", "fe80::3", "fe80::4"] as const;
  const changes: [what: string, before: Partial<Route>, after: Partial<Route>, words: string][] = [
    ["gets another one", { hops: [one, two] }, { hops: [one, three] }, `via is ${one} ${two}, wanted ${one} ${three}`],
    ["gets one more", { hops: [one, two] }, { hops: [one, two, three] }, `via is ${one} ${two}, wanted ${one} ${two} ${three}`],
    ["has one left", { hops: [one, two] }, { via: one }, `via is ${one} ${two}, wanted ${one}`],
    ["gets a second", { via: one }, { hops: [one, two] }, `via is ${one}, wanted ${one} ${two}`],
  ];
  for (const prefix of ["10.61.0.0/24", "fd61::/64"]) {
    const route: Route = { kind: "route", where: "mesh", device: "x-1", prefix };
    for (const [what, before, after, words] of changes) {
      it(`changes the one to ${prefix} that ${what}, in place, and deletes it with all of them`, async () => {
        const { kernel, wanted } = test();
        const [old, value] = [
          { ...route, ...before },
          { ...route, ...after },
        ];
        const device = wanted.filter((object) => object.kind === "vxlan");
        await make(kernel, [...device, old]);
        assert.deepEqual(differences([...device, value], await kernel.find(["x-1"], [...device, value])), [`${keyOf(route)}: ${words}`]);
        await replace(kernel, old, value);
        assert.deepEqual(differences([...device, value], await kernel.list([...device, value])), []);
        assert.deepEqual(await kernel.apply([{ op: "delete", key: keyOf(value), old: value }]), []);
        assert.deepEqual(differences(device, await kernel.list(device)), []);
      });
    }
  }

  it("of which there is only one are routes with a gateway", async () => {
    const { kernel, wanted } = test();
    const device = wanted.filter((object) => object.kind === "vxlan");
    const route: Route = { kind: "route", where: "mesh", device: "x-1", prefix: "10.61.0.0/24" };
    await make(kernel, [...device, { ...route, hops: [one] }]);
    for (const value of [
      { ...route, hops: [one] },
      { ...route, via: one },
      { ...route, via: one, hops: [one] },
    ]) {
      assert.deepEqual(differences([...device, value], await kernel.list([...device, value])), []);
    }
  });

  it("stand beside those over another device that have another metric, and beside no others", async () => {
    const { kernel, wanted } = test();
    const devices = wanted.filter((object) => object.kind === "vxlan" || object.kind === "port");
    await make(kernel, devices);
    for (const prefix of ["10.61.0.0/24", "fd61::/64"]) {
      const [near, far]: [Route, Route] = [
        { kind: "route", where: "mesh", device: "p-a", prefix },
        { kind: "route", where: "mesh", device: "x-1", prefix, hops: [one, two], metric: 2048 },
      ];
      await make(kernel, [far, near]);
      assert.deepEqual(differences([...devices, near, far], await kernel.list([...devices, near, far])), []);
      const [failed] = await kernel.apply([{ op: "add", key: keyOf(far), value: { ...far, metric: undefined } }]);
      assert.match(failed?.error.message ?? "", /there is a route to that prefix already/);
      for (const [old, left] of [
        [near, far],
        [far, near],
      ] as const) {
        assert.deepEqual(await kernel.apply([{ op: "delete", key: keyOf(old), old }]), []);
        assert.deepEqual(differences([...devices, left], await kernel.list([...devices, left])), []);
        await make(kernel, [old]);
      }
      assert.deepEqual(await kernel.apply([far, near].map((old) => ({ op: "delete", key: keyOf(old), old }))), []);
    }
  });

  it("tells that one of them was deleted", async () => {
    const { world, kernel, wanted } = test();
    await make(kernel, wanted);
    for (const old of wanted.filter((object) => object.kind === "route" && object.hops !== undefined)) {
      await quiet(kernel);
      const changed = next(kernel, "x-1", "changed");
      world.byHand({ op: "delete", key: keyOf(old), old });
      await changed;
    }
  });
}

/** What a node with one member and one neighbour has of a routed segment. */
function routed(pod: Netns): KernelObject[] {
  const [mac, far] = ["02:00:00:00:00:0a", "02:69:73:00:00:02"];
  const own = { where: "mesh" as const, device: "p-a" };
  const out = { where: "mesh" as const, device: "x-1" };
  const inPod = { where: pod, device: "nsm0" };
  return [
    { ...port("p-a", pod), mac: gatewayMac, podMac: mac },
    segmentVxlan,
    ...["10.60.0.1/32", "169.254.1.1/32", "fd60::1/128", "fe80::1/128"].map(
      (address): KernelObject => ({ kind: "address", where: "mesh", device: "lo", address }),
    ),
    ...["10.60.0.2/32", "fd60::2/128"].map((address): KernelObject => ({ kind: "address", ...inPod, address })),
    ...["169.254.1.1", "fe80::1"].map((address): KernelObject => ({ kind: "neighbour", ...inPod, address, mac: gatewayMac })),
    { kind: "neighbour", ...own, address: "10.60.0.2", mac },
    { kind: "neighbour", ...own, address: "fd60::2", mac },
    { kind: "neighbour", ...out, address: "fe80::2", mac: far },
    { kind: "vxlan-fdb", device: "x-1", mac: far, address: "fd00:1::2", vni: 8388609 },
    ...["fd00:1::2", "fd00:1::3"].map(
      (address): KernelObject => ({ kind: "vxlan-fdb", device: "x-1", mac: "00:00:00:00:00:00", address, vni: 8388608 }),
    ),
    { kind: "route", ...inPod, prefix: "10.60.0.0/16", via: "169.254.1.1" },
    { kind: "route", ...inPod, prefix: "fd60::/48", via: "fe80::1" },
    { kind: "route", ...own, prefix: "10.60.0.2/32", source: "10.60.0.1" },
    { kind: "route", ...own, prefix: "fd60::2/128", source: "fd60::1" },
    { kind: "route", ...out, prefix: "10.60.1.0/24", via: "fe80::2", source: "10.60.0.1" },
    { kind: "route", ...out, prefix: "fd60:0:0:1::/64", via: "fe80::2" },
    { kind: "route", ...out, prefix: "10.60.2.0/24", hops: ["fe80::2", "fe80::3"], source: "10.60.0.1" },
    { kind: "route", ...out, prefix: "fd60:0:0:2::/64", via: "fe80::2", hops: ["fe80::2", "fe80::3"] },
    { kind: "vxlan-source", source: "fd00:1::2", vni: 8388608 },
    ...policyOf("l3"),
  ];
}
