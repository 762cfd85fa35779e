import assert from "node:assert/strict";
import { MemberRule, type Segment } from "../../../../api/gen/isthmus/v1/segment.js";
import { NetworkServiceEndpoint } from "../../../../api/gen/registry/registry.js";
import { memberLabels, nodeLabels } from "../../../../core/segment/membership.js";
import { groupMembers } from "../../../../forwarder/segments/policy.js";
import { until } from "../../../lib/until.js";
import { asked, type Pretended, World } from "../world.js";

const plant = { name: "plant", layer: "l3", prefixes: ["10.60.0.0/16"] };
const [one, other] = [
  [MemberRule.fromPartial({ from: { role: "hmi" }, to: { role: "plc" }, ports: ["502/tcp"] })],
  [MemberRule.fromPartial({ from: { zone: "a" } })],
];
const id = "spiffe://test/node/b/forwarder";
const node = { segment: "plant", id, node: "b", site: "test", publicKey: `${"b".repeat(42)}A=`, vni: 9_000_001, at: "192.0.2.9:51820" };
const labels = { role: "hmi", zone: "a", owner: "somebody" };

/** As commands: the elements of all groups in which one with that address and these labels is. */
function inGroups(policy: MemberRule[], address: string, has: Readonly<Record<string, string>>): string[] {
  const members = groupMembers({ layer: "l3", policy }, { labels: has, addresses: [address], announces: [], mac: "" });
  return members.map(({ group }) => `nft add element inet isthmus-policy ${group}_4 { ${address} }`);
}

/** A node with the segment and one other that says what `said` says; a member joins. */
async function started(
  world: World<Pretended>,
  said: Record<string, string>,
): Promise<{ elements(): string[]; told(): string | undefined }> {
  world.segments.tell({ ...plant, policy: one });
  const endpoint = (name: string, words: Record<string, string>) =>
    NetworkServiceEndpoint.fromPartial({
      ...{ name, url: "tcp://192.0.2.9:5001", networkServiceNames: ["plant"] },
      networkServiceLabels: { plant: { labels: words } },
    });
  await world.register(1, endpoint("plant.b", nodeLabels({ ...node, abroad: undefined, blocks: ["10.60.9.0/24"], mtu: 1366 })));
  await world.register(1, endpoint("plant.b.0", said));
  const { machine } = world.node(1);
  await world.request(1, { ...asked(machine.pods.add("camera"), { id: "client-camera", service: "plant" }), labels });
  const lines = () => machine.spaces.text("plant").split("\n");
  const [mine] = [...world.node(1).disk.keys("member/")];
  assert.ok(mine !== undefined);
  return {
    elements: () => lines().filter((line) => line.startsWith("nft add element inet isthmus-policy g")),
    told: () => {
      const shard = world.registered(1, "plant.forwarder-1.0")?.networkServiceLabels.plant?.labels;
      return Object.entries(shard ?? {}).find(([key]) => key.startsWith("member."))?.[1];
    },
  };
}

describe("forwarder: a policy between members", () => {
  it("knows members of this and of other nodes by their labels, tells of its own what it asks for, and follows a change", async () => {
    await using world = await World.pretend();
    const plc = { name: "plc", mac: "02:00:00:00:00:01", addresses: ["10.60.9.2"], announces: [], services: [], sequence: 1 };
    const zoned = { ...plc, name: "zoned", mac: "02:00:00:00:00:02", addresses: ["10.60.9.3"], labels: { zone: "a" } };
    const { elements, told } = await started(world, memberLabels(id, [{ ...plc, labels: { role: "plc" } }, zoned]));
    const first = [...inGroups(one, "10.60.1.2", labels), ...inGroups(one, "10.60.9.2", { role: "plc" })].sort();
    assert.equal(first.length, 2);
    await until("all are in their groups", 2_000, () => elements().join() === first.join());
    await until("it is told", 2_000, () => told()?.endsWith(" role=hmi") === true);

    world.segments.tell({ ...plant, version: 2, policy: other });
    const second = ["10.60.1.2", "10.60.9.3"].flatMap((address) => inGroups(other, address, { zone: "a" })).sort();
    await until("all are in other groups", 2_000, () => elements().join() === second.join());
    await until("it is told by other labels", 2_000, () => told()?.endsWith(" zone=a") === true);

    await world.node(1).stop();
    await world.node(1).start();
    assert.deepEqual(elements(), second);

    world.segments.tell({ ...plant, version: 3 });
    await until("nothing is left", 2_000, () => !world.node(1).machine.spaces.text("plant").includes("isthmus-policy"));
    await until("nothing is told", 2_000, () => told()?.includes("=") === false);
  });

  it("is none of an earlier version's, which kept nothing of one", async () => {
    await using world = await World.pretend();
    await started(world, memberLabels(id, []));
    const { disk } = world.node(1);
    const [key = "", part] = [...disk.entries<{ segment: Partial<Segment> }>("segment/")][0] ?? [];
    assert.ok(part !== undefined);
    const { policy: _, ...rest } = part.segment;
    await world.node(1).stop();
    await disk.put(key, { ...part, segment: rest });
    world.segments.tell({ ...plant, version: 2 });
    await world.node(1).start();
    await until("the segment goes on without", 2_000, () => {
      const text = world.node(1).machine.spaces.text("plant");
      return text.includes("10.60.1.2/32") && !text.includes("isthmus-policy");
    });
  });
});
