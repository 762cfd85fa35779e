import assert from "node:assert/strict";
import { plan } from "../../../forwarder/plan.js";
import { keyOf } from "../../../kernel/difference.js";
import type { KernelObject, Port, Route } from "../../../kernel/model.js";

const pod = { path: "/run/netns/a", cookie: "1" };
const port: Port = { kind: "port", name: "ism-a", alias: "isthmus:a", pod, podInterface: "nsm0", podMac: "02:00:00:00:00:01", mtu: 1400 };
const route = (device: string, prefix: string, more: Partial<Route> = {}): Route => ({
  kind: "route",
  where: "mesh",
  device,
  prefix,
  ...more,
});

/** `add route mesh ism-a 10.60.9.1/32`, in order. */
function steps(wanted: readonly KernelObject[], found: readonly KernelObject[]): string[] {
  return plan(wanted, found).map(({ op, key }) => `${op} ${key}`);
}

describe("the order of steps", () => {
  it("is from links outwards, and back", () => {
    const [on, address] = [
      route("ism-a", "10.60.9.1/32"),
      { kind: "address", where: pod, device: "nsm0", address: "10.60.9.1/32" } as const,
    ];
    assert.deepEqual(
      steps([on, address, port], []),
      [port, address, on].map((object) => `add ${keyOf(object)}`),
    );
    assert.deepEqual(
      steps([port], [port, address, on]),
      [on, address].map((object) => `delete ${keyOf(object)}`),
    );
    assert.deepEqual(steps([], [port, address, on]), [`delete ${keyOf(port)}`], "the rest goes with it");
  });

  it("has a route go before one to the same prefix comes over another device, be it that its own device goes with it", () => {
    const [here, there] = [route("ism-a", "10.60.9.1/32"), route("isthmus-trunk", "10.60.9.1/32", { via: "fe80::1" })];
    assert.deepEqual(steps([there], [port, here]), [`delete ${keyOf(here)}`, `add ${keyOf(there)}`, `delete ${keyOf(port)}`]);
    assert.deepEqual(steps([port, here], [there]), [`add ${keyOf(port)}`, `delete ${keyOf(there)}`, `add ${keyOf(here)}`]);
  });

  it("has all members in their groups before a policy looks there, and leaves them there as long as it does", () => {
    const member = (group: string): KernelObject => ({ kind: "group-member", group, address: "10.60.1.2" });
    const withPolicy = (group: string): KernelObject[] => [
      { kind: "policy", layer: "l3", rules: [{ to: group }], behind: {} },
      member(group),
    ];
    const [before, after] = [withPolicy("g00000000000a"), withPolicy("g00000000000b")];
    const [gone, come] = [keyOf(member("g00000000000a")), keyOf(member("g00000000000b"))];
    assert.deepEqual(steps(before, []), [`add ${gone}`, "add policy"]);
    assert.deepEqual(steps(after, before), [`add ${come}`, "replace policy", `delete ${gone}`]);
    assert.deepEqual(steps([], before), ["delete policy", `delete ${gone}`]);
  });

  it("adds before it deletes where the two do not meet", () => {
    const found = [route("ism-a", "10.60.9.1/32"), route("ism-a", "10.60.9.2/32", { table: 7 }), route("ism-a", "fd60::1/128")];
    const wanted = [route("isthmus-trunk", "10.60.9.2/32"), route("ism-a", "fd60::2/128")];
    assert.deepEqual(
      plan(wanted, found).map(({ op }) => op),
      ["add", "add", "delete", "delete", "delete"],
    );
  });
});
