import assert from "node:assert/strict";
import { difference, keyOf } from "../../kernel/difference.js";
import type { GroupMember, KernelObject, Policy, SegmentLayer } from "../../kernel/model.js";
import { add, differences, make, replace, settle } from "./kernel.js";
import type { Test } from "./kernelSegment.js";

const [hmi, plc, spare] = ["g00000000000a", "g00000000000b", "g00000000000c"] as const;

/** A policy with two groups and who is in them, as `wanted` of a segment has it. */
export function policyOf(layer: SegmentLayer): KernelObject[] {
  const addresses = layer === "l2" ? ["02:00:00:00:00:0a", "02:00:00:00:00:0c"] : ["10.60.0.2", "fd60::2"];
  const rules: Policy["rules"] = [
    {
      from: hmi,
      to: plc,
      ports: [
        { protocol: "tcp", port: 502 },
        { protocol: "udp", port: 161 },
      ],
    },
    { to: hmi },
    {},
  ];
  const behind: Policy["behind"] = layer === "l2" ? {} : { [plc]: ["192.168.10.0/25", "192.168.10.128-192.168.10.200", "fd80::/64"] };
  return [
    { kind: "policy", layer, rules, behind },
    ...[hmi, plc].flatMap((group) => addresses.map((address): GroupMember => ({ kind: "group-member", group, address }))),
  ];
}

/** The tests of policies that kernels for both layers pass. */
export function policyTests(test: Test, layer: SegmentLayer): void {
  const [policy, ...members] = policyOf(layer) as [Policy, ...GroupMember[]];
  const all = [policy, ...members];
  const onLo = async (wanted: readonly KernelObject[]): Promise<string[]> =>
    differences(wanted, (await test().kernel.find(["lo"], wanted)).filter(isOfPolicy));

  it("takes members into groups before there is a policy, and after it, in any order", async () => {
    const { kernel } = test();
    for (const order of [all, [...all].reverse()]) {
      await make(kernel, order);
      assert.deepEqual(await onLo(all), []);
      assert.deepEqual(differences(all, await kernel.list(all)), []);
      await settle(kernel, []);
      assert.deepEqual(await onLo([]), []);
    }
  });

  it("changes the rules in place, and keeps the groups that they still name", async () => {
    const { kernel } = test();
    await make(kernel, all);
    const value: Policy = { ...policy, rules: [{ from: plc, to: plc }], behind: {} };
    const [found] = (await kernel.find(["lo"], [value])).filter(({ kind }) => kind === "policy");
    assert.ok(found !== undefined && difference(value, found) !== "");
    await replace(kernel, policy, value);
    const stay = members.filter(({ group }) => group === plc);
    assert.deepEqual(await onLo([value, ...stay]), []);
    await replace(kernel, value, policy);
    await settle(kernel, all);
    assert.deepEqual(await onLo(all), []);
  });

  it("tells apart policies that differ in one port, and in what lies behind a group", async () => {
    const { kernel } = test();
    await make(kernel, all);
    const others: Policy[] = [
      { ...policy, rules: [...policy.rules.slice(0, 2), { ports: [{ protocol: "tcp", port: 503 }] }] },
      { ...policy, rules: [...policy.rules].reverse() },
      ...(layer === "l3" ? [{ ...policy, behind: { [plc]: ["192.168.11.0/24"] } }] : []),
    ];
    for (const other of others) {
      const [found] = (await kernel.find(["lo"], [other])).filter(({ kind }) => kind === "policy");
      assert.ok(found !== undefined && difference(other, found) !== "", JSON.stringify(other));
    }
  });

  it("loses the members of its groups with the policy, and does not mind", async () => {
    const { kernel } = test();
    await make(kernel, all);
    assert.deepEqual(await kernel.apply([{ op: "delete", key: "policy", old: policy }]), []);
    assert.deepEqual(await onLo([]), []);
    assert.deepEqual(await kernel.apply(members.map((old) => ({ op: "delete", key: keyOf(old), old }))), []);
    await make(kernel, all);
    assert.deepEqual(await onLo(all), []);
  });

  it("sees a member that somebody else has put into a group", async () => {
    const { world, kernel } = test();
    await make(kernel, all);
    const stranger: GroupMember = {
      ...{ kind: "group-member", group: spare },
      address: layer === "l2" ? "02:00:00:00:00:0e" : "10.60.0.9",
    };
    world.byHand(add(stranger));
    assert.deepEqual(await onLo(all), [`unwanted: ${keyOf(stranger)}`]);
    await settle(kernel, all);
    assert.deepEqual(await onLo(all), []);
  });
}

function isOfPolicy({ kind }: KernelObject): boolean {
  return kind === "policy" || kind === "group-member";
}
