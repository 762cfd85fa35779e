import assert from "node:assert/strict";
import { difference, keyOf } from "../../kernel/difference.js";
import type {
  Bridge,
  BridgeFdb,
  BridgePort,
  Guard,
  Kernel,
  KernelObject,
  Netns,
  Port,
  Route,
  Step,
  Vxlan,
  VxlanFdb,
} from "../../kernel/model.js";
import { add, differences, make, next, port, quiet, replace, settle } from "./kernel.js";

/** A segment's namespace to test a kernel on, and what an operator does in it. */
export interface SegmentWorld extends AsyncDisposable {
  /** Opens the kernel; the second time it is the same namespace after a restart of the process. */
  open(): Promise<Kernel>;
  pod(name: string): Netns;
  /** The number of a device in the segment's namespace. */
  index(device: string): number | undefined;
  /** Somebody else does it, with the commands that the step shows itself as. */
  byHand(step: Step): void;
}

export const gatewayMac = "02:69:73:00:00:01";

/** The contract of every kernel for the namespace of a routed segment. */
export function routedSegmentSuite(name: string, create: () => Promise<SegmentWorld>): void {
  describe(`the kernel contract for routed segments: ${name}`, () => {
    const test = segmentTests(create, routed);
    describe("routes with several gateways", () => hops(test));
  });
}

/** The contract of every kernel for the namespace of a switched segment. */
export function switchedSegmentSuite(name: string, create: () => Promise<SegmentWorld>): void {
  describe(`the kernel contract for switched segments: ${name}`, () => {
    const test = segmentTests(create, switched);
    describe("bridges, their ports and guards", () => switching(test));
  });
}

function segmentTests(create: () => Promise<SegmentWorld>, wantedWith: (pod: Netns) => KernelObject[]): Test {
  let world: SegmentWorld;
  let kernel: Kernel;
  let wanted: KernelObject[];
  beforeEach(async () => {
    world = await create();
    kernel = await world.open();
    wanted = wantedWith(world.pod("a"));
  });
  afterEach(async () => {
    await kernel[Symbol.asyncDispose]();
    await world[Symbol.asyncDispose]();
  });
  const test = () => ({ world, kernel, wanted });

  describe("making and reading", () => making(test));
  describe("changing", () => changing(test));

  it("sees after a restart exactly what was made before", async () => {
    await make(kernel, wanted);
    await kernel[Symbol.asyncDispose]();
    kernel = await world.open();
    assert.deepEqual(differences(wanted, await kernel.list(wanted)), []);
  });
  return test;
}

type Test = () => { readonly world: SegmentWorld; readonly kernel: Kernel; readonly wanted: KernelObject[] };

function making(test: Test): void {
  it("has nothing at first", async () => {
    assert.deepEqual(await test().kernel.list([]), []);
    assert.deepEqual(await test().kernel.find(["lo", "p-a"], []), []);
  });

  it("lists all that was made, and nothing else, also when it was made twice", async () => {
    const { kernel, wanted } = test();
    await make(kernel, wanted);
    assert.deepEqual(differences(wanted, await kernel.list(wanted)), []);
    await make(kernel, wanted);
    assert.deepEqual(differences(wanted, await kernel.list(wanted)), []);
  });

  it("finds what is on each device, and nothing else", async () => {
    const { kernel, wanted } = test();
    await make(kernel, wanted);
    for (const device of devicesOf(wanted)) {
      const its = on(device, wanted);
      assert.notEqual(its.length, 0);
      assert.deepEqual(differences(its, await kernel.find([device], its)), [], device);
    }
  });

  it("shows what is there where nobody wants it any more, and removes it", async () => {
    const { kernel, wanted } = test();
    await make(kernel, wanted);
    const stays = wanted.filter(isDevice);
    for (const device of devicesOf(wanted)) {
      const found = await kernel.find([device], on(device, stays));
      const mine = on(device, wanted).filter((object) => !isDevice(object));
      assert.deepEqual(differences(on(device, stays), found).sort(), mine.map((object) => `unwanted: ${keyOf(object)}`).sort(), device);
    }
    await settle(kernel, stays);
    assert.deepEqual(differences(stays, await kernel.list(stays)), []);
  });

  it("leaves nothing when all is deleted, in any order and twice", async () => {
    const { kernel, wanted } = test();
    await make(kernel, wanted);
    const deletes = wanted.map((old): Step => ({ op: "delete", key: keyOf(old), old }));
    assert.deepEqual(await kernel.apply(deletes), []);
    assert.deepEqual(await kernel.list(wanted), []);
    assert.deepEqual(await kernel.apply(deletes.reverse()), []);
    await make(kernel, wanted);
    assert.deepEqual(await kernel.apply(deletes), []);
    assert.deepEqual(await kernel.list([]), []);
  });

  it("takes for its own what an operator made with the same commands", async () => {
    const { world, kernel, wanted } = test();
    for (const object of wanted) world.byHand(add(object));
    assert.deepEqual(differences(wanted, await kernel.list(wanted)), []);
  });
}

function changing(test: Test): void {
  it("puts back what an operator took away", async () => {
    const { world, kernel, wanted } = test();
    await make(kernel, wanted);
    for (const old of wanted.filter((object) => !isDevice(object))) {
      world.byHand({ op: "delete", key: keyOf(old), old });
      const device = deviceOf(old);
      const its = on(device, wanted);
      // Routes go with their source address.
      assert.equal(differences(its, await kernel.find([device], its))[0], `missing: ${keyOf(old)}`);
      await settle(kernel, wanted);
      assert.deepEqual(differences(wanted, await kernel.list(wanted)), []);
    }
  });

  it("changes the MAC addresses of a port and a VXLAN device in place", async () => {
    const { world, kernel, wanted } = test();
    await make(kernel, wanted);
    for (const old of wanted.filter((object) => object.kind === "port" || object.kind === "vxlan")) {
      const index = world.index(old.name);
      const value: Port | Vxlan = { ...old, mac: "02:69:73:00:00:77" };
      const [found] = (await kernel.find([old.name], [value])).filter(isDevice);
      assert.equal(found && difference(value, found), `mac is ${old.mac}, wanted 02:69:73:00:00:77`);
      await replace(kernel, old, value);
      const changed = wanted.map((object) => (object === old ? value : object));
      await settle(kernel, changed); // neighbours go with the address
      assert.deepEqual(differences(changed, await kernel.list(changed)), []);
      assert.equal(world.index(old.name), index);
      await settle(kernel, wanted);
    }
  });

  it("sends a MAC address elsewhere in place, and one of several copies by leaving the others", async () => {
    const { kernel, wanted } = test();
    await make(kernel, wanted);
    const [one, copy, other] = wanted.filter((object) => object.kind === "vxlan-fdb") as [VxlanFdb, VxlanFdb, VxlanFdb];
    const moved = { ...one, address: "fd00:1::9", vni: 8388700 };
    await replace(kernel, one, moved);
    assert.equal(keyOf(one), keyOf(moved));
    assert.deepEqual(await kernel.apply([{ op: "delete", key: keyOf(copy), old: copy }]), []);
    const changed = wanted.filter((object) => object !== copy).map((object) => (object === one ? moved : object));
    assert.ok(changed.includes(other));
    assert.deepEqual(differences(changed, await kernel.list(changed)), []);
  });

  it("tells of what happens to what it made, on lo too", async () => {
    const { world, kernel, wanted } = test();
    await make(kernel, wanted);
    for (const old of wanted.filter((object) => object.kind === "address" || object.kind === "vxlan-fdb")) {
      await quiet(kernel);
      const changed = next(kernel, deviceOf(old), "changed");
      world.byHand({ op: "delete", key: keyOf(old), old });
      await changed;
    }
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
    ]) {
      assert.deepEqual(differences([...device, value], await kernel.list([...device, value])), []);
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
  ];
}

const bridge: Bridge = {
  ...{ kind: "bridge", name: "br-1", alias: "isthmus:segment", mac: gatewayMac, mtu: 1400 },
  ...{ multicastSnooping: true, querier: true },
};

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
    { kind: "route", ...out, prefix: "fd60:0:0:2::/64", hops: ["fe80::2", "fe80::3"] },
    { kind: "vxlan-source", source: "fd00:1::2", vni: 8388608 },
  ];
}

const segmentVxlan: Vxlan = {
  ...{ kind: "vxlan", name: "x-1", alias: "isthmus:segment", vni: 8388608, udpPort: 4789, local: "fd00:1::1", madeIn: "node", mtu: 1400 },
  mac: "02:69:73:00:00:03",
};

function isDevice(object: KernelObject): boolean {
  return "name" in object || object.kind === "vxlan-source";
}

/** The devices of the segment's namespace that something is wanted of. */
function devicesOf(wanted: readonly KernelObject[]): string[] {
  return ["lo", ...wanted.flatMap((object) => ("name" in object ? [object.name] : []))];
}

/** What goes with a device, and with the pod's end of a port. */
function on(device: string, wanted: readonly KernelObject[]): KernelObject[] {
  return wanted.filter((object) => deviceOf(object) === device);
}

function deviceOf(object: KernelObject): string {
  if ("name" in object) return object.name;
  const device = "device" in object ? object.device : "";
  return device === "nsm0" ? "p-a" : device;
}
