import assert from "node:assert/strict";
import { difference, keyOf } from "../../kernel/difference.js";
import type { Bridge, BridgeFdb, BridgePort, Guard, KernelObject, Netns, Port, Vxlan } from "../../kernel/model.js";
import { add, differences, make, next, port, replace, settle } from "./kernel.js";
import { policyOf, policyTests } from "./kernelPolicy.js";
import { gatewayMac, isDevice, type SegmentWorld, segmentTests, segmentVxlan, type Test } from "./kernelSegment.js";

/** The contract of every kernel for the namespace of a switched segment. */
export function switchedSegmentSuite(name: string, create: () => Promise<SegmentWorld>): void {
  describe(`the kernel contract for switched segments: ${name}`, () => {
    const test = segmentTests(create, switched);
    describe("bridges, their ports and guards", () => switching(test));
    describe("policies", () => policyTests(test, "l2"));
  });
}

function switching(test: Test): void {
  const flags = ["flood", "learning", "neighSuppress", "isolated", "multicastRouter"] as const;

  it("changes each thing that a device does as a port, in place", async () => {
    const { world, kernel, wanted } = test();
    await make(kernel, wanted);
    for (const old of wanted.filter((object) => object.kind === "port" || object.kind === "vxlan")) {
      const index = world.index(old.name);
      let was = old;
      for (const flag of flags) {
        assert.ok(was.bridge !== undefined);
        const value: Port | Vxlan = { ...was, bridge: { ...was.bridge, [flag]: !was.bridge[flag] } };
        const [found] = (await kernel.find([old.name], [value])).filter(isDevice);
        assert.equal(found && difference(value, found), `${flag} is ${was.bridge[flag]}, wanted ${!was.bridge[flag]}`);
        await replace(kernel, was, value);
        const changed = wanted.map((object) => (object === old ? value : object));
        assert.deepEqual(differences(changed, await kernel.list(changed)), []);
        was = value;
      }
      await replace(kernel, was, old);
      assert.equal(world.index(old.name), index);
    }
  });

  it("changes a bridge in place, and its ports stay in it", async () => {
    const { world, kernel, wanted } = test();
    await make(kernel, wanted);
    const index = world.index("br-1");
    const value: Bridge = {
      ...bridge,
      mtu: 1300,
      alias: "isthmus:other",
      mac: "02:69:73:00:00:88",
      multicastSnooping: false,
      querier: false,
    };
    await replace(kernel, bridge, value);
    const changed = wanted.map((object) => (object === bridge ? value : object));
    await settle(kernel, changed); // neighbours go with the address
    assert.deepEqual(differences(changed, await kernel.list(changed)), []);
    assert.equal(world.index("br-1"), index);
  });

  it("makes all good after the bridge was deleted, and takes a port out of it", async () => {
    const { world, kernel, wanted } = test();
    await make(kernel, wanted);
    world.byHand({ op: "delete", key: "bridge br-1", old: bridge });
    const found = await kernel.list(wanted);
    assert.match(differences(wanted, found).join("\n"), /missing: bridge br-1\nport p-a: bridge is not set, wanted br-1/);
    await settle(kernel, wanted);
    assert.deepEqual(differences(wanted, await kernel.list(wanted)), []);
    const old = wanted.find((object) => object.kind === "port") as Port;
    const { bridge: _, ...out } = old;
    const rest = wanted
      .filter((object) => object.kind !== "bridge-fdb" || object.device !== "p-a")
      .map((object) => (object === old ? out : object));
    assert.deepEqual(differences(rest, await kernel.list(rest)).slice(0, 1), ["port p-a: bridge is br-1, wanted none"]);
    await replace(kernel, old, out);
    assert.deepEqual(differences(rest, await kernel.list(rest)), []);
  });

  it("refuses a port of a bridge that is not there", async () => {
    const { kernel, wanted } = test();
    const [failure] = await kernel.apply(wanted.filter((object) => object.kind === "vxlan").map(add));
    assert.match(failure?.error.message ?? "", /no device br-1 in the mesh namespace/);
  });

  it("leads a MAC address to another port, and does not miss the entry at the first", async () => {
    const { kernel, wanted } = test();
    await make(kernel, wanted);
    const old = wanted.find((object) => object.kind === "bridge-fdb") as BridgeFdb;
    const moved: BridgeFdb = { ...old, device: old.device === "p-a" ? "x-1" : "p-a" };
    await make(kernel, [moved]);
    assert.deepEqual(await kernel.apply([{ op: "delete", key: keyOf(old), old }]), []);
    const changed = wanted.map((object) => (object === old ? moved : object));
    assert.deepEqual(differences(changed, await kernel.list(changed)), []);
  });

  it("tells who was learned at a port, and leads to whoever is elsewhere until he speaks there", async () => {
    const { world, kernel, wanted } = test();
    const [usual, guard] = wanted.filter((object) => object.kind === "port" || object.kind === "guard") as [Port, Guard];
    const learning: Port = { ...usual, bridge: usual.bridge && { ...usual.bridge, learning: true } };
    const open: Guard = { ...guard, spoofing: true };
    const all = wanted.map((object) => (object === usual ? learning : object === guard ? open : object));
    await make(kernel, all);
    const learned = async () => [...(await kernel.learned(["p-a", "x-1", "p-none"]))];
    const host = "02:00:00:00:00:77";
    const elsewhere: BridgeFdb = { kind: "bridge-fdb", device: "x-1", mac: host, yields: true };
    const speaks = async (mac: string) => {
      const heard = next(kernel, "p-a", "learned");
      world.speak(learning, mac);
      await heard;
    };
    await speaks(host);
    assert.deepEqual(await learned(), [
      ["p-a", [host]],
      ["x-1", []],
    ]);
    assert.deepEqual(differences(all, await kernel.list(all)), [], "what was learned is nobody's to want");
    await make(kernel, [elsewhere]);
    assert.deepEqual((await learned())[0], ["p-a", []]);
    assert.deepEqual(differences([...all, elsewhere], await kernel.list([...all, elsewhere])), []);
    await speaks(host);
    assert.deepEqual((await learned())[0], ["p-a", [host]]);
    assert.deepEqual(differences([...all, elsewhere], await kernel.list([...all, elsewhere])), [`missing: ${keyOf(elsewhere)}`]);
    assert.deepEqual(await kernel.apply([{ op: "delete", key: keyOf(elsewhere), old: elsewhere }]), []);
    assert.deepEqual((await learned())[0], ["p-a", [host]], "an entry that is not there any more is not missed");
    const { yields: _, ...stays } = elsewhere;
    await make(kernel, [stays]);
    world.speak(learning, host);
    await speaks("02:00:00:00:00:78");
    assert.deepEqual((await learned())[0], ["p-a", ["02:00:00:00:00:78"]], "the other one stays where it is wanted");
    await make(kernel, [elsewhere]);
    assert.equal(difference(elsewhere, (await kernel.find(["x-1"], [])).find((found) => keyOf(found) === keyOf(elsewhere)) ?? stays), "");
    const gone = next(kernel, "p-a", "gone");
    await kernel.apply([{ op: "delete", key: keyOf(learning), old: learning }]);
    await gone;
    assert.deepEqual(await learned(), [["x-1", []]]);
  });

  it("changes what a port may send, also before the port is there and after it is gone", async () => {
    const { kernel, wanted } = test();
    const old = wanted.find((object) => object.kind === "guard") as Guard;
    await make(kernel, [old]);
    assert.deepEqual(differences([old], await kernel.find(["p-a"], [old])), []);
    await make(kernel, wanted);
    const value: Guard = { ...old, mac: "02:00:00:00:00:0b", addresses: ["10.70.0.3", "fd70::3", "fd70::4"], spoofing: true };
    const [found] = (await kernel.find(["p-a"], [value])).filter(({ kind }) => kind === "guard");
    assert.equal(
      found && difference(value, found),
      "mac is 02:00:00:00:00:0a, wanted 02:00:00:00:00:0b; addresses is 10.70.0.2 fd70::2, wanted 10.70.0.3 fd70::3 fd70::4; " +
        "spoofing is false, wanted true",
    );
    await replace(kernel, old, value);
    assert.deepEqual(
      differences([value], await kernel.find(["p-a"], [value]).then((all) => all.filter(({ kind }) => kind === "guard"))),
      [],
    );
    await replace(kernel, value, old);
    await kernel.apply([{ op: "delete", key: "port p-a", old: wanted.find((object) => object.kind === "port") as Port }]);
    assert.deepEqual(differences([], await kernel.find(["p-a"], [])), ["unwanted: guard p-a"]);
    assert.deepEqual(await kernel.apply([{ op: "delete", key: "guard p-a", old }]), []);
    assert.deepEqual(await kernel.find(["p-a"], []), []);
    assert.deepEqual(await kernel.find(["p-a"], [old]), []);
  });

  it("does not mind that a link-local address, which goes with the MAC address, is named", async () => {
    const { kernel, wanted } = test();
    const guard = wanted.find((object) => object.kind === "guard") as Guard;
    await make(kernel, [guard]);
    const named: Guard = { ...guard, addresses: [...guard.addresses, "fe80::ff:fe00:a"] };
    assert.deepEqual(differences([named], await kernel.list([named])), []);
    assert.deepEqual(differences([guard], await kernel.list([guard])), []);
  });
}

/** What a node with one member and one neighbour has of a switched segment. */
function switched(pod: Netns): KernelObject[] {
  const [mac, far] = ["02:00:00:00:00:0a", "02:00:00:00:00:0c"];
  const known = { kind: "neighbour", where: "mesh", device: "br-1", mac: far } as const;
  const port1: BridgePort = { bridge: "br-1", flood: true, learning: false, neighSuppress: false, isolated: false, multicastRouter: false };
  return [
    bridge,
    { ...port("p-a", pod), mac: "02:69:73:00:00:05", podMac: mac, bridge: port1 },
    { ...segmentVxlan, bridge: { ...port1, flood: false, neighSuppress: true, multicastRouter: true } },
    { kind: "guard", device: "p-a", mac, addresses: ["10.70.0.2", "fd70::2"], spoofing: false },
    { kind: "vxlan-fdb", device: "x-1", mac: far, address: "fd00:1::2", vni: 8388609 },
    ...["fd00:1::2", "fd00:1::3"].map(
      (address): KernelObject => ({ kind: "vxlan-fdb", device: "x-1", mac: "00:00:00:00:00:00", address, vni: 8388608 }),
    ),
    { kind: "bridge-fdb", device: "p-a", mac },
    { kind: "bridge-fdb", device: "x-1", mac: far },
    { ...known, address: "10.70.0.3" },
    { ...known, address: "fd70::3" },
    { kind: "address", where: "mesh", device: "br-1", address: "fe80::1/64" },
    { kind: "address", where: "mesh", device: "lo", address: "169.254.1.1/32" },
    { kind: "address", where: pod, device: "nsm0", address: "10.70.0.2/16" },
    { kind: "vxlan-source", source: "fd00:1::2", vni: 8388608 },
    ...policyOf("l2"),
  ];
}

const bridge: Bridge = {
  ...{ kind: "bridge", name: "br-1", alias: "isthmus:segment", mac: gatewayMac, mtu: 1400 },
  ...{ multicastSnooping: true, querier: true },
};
