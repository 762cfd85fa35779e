import assert from "node:assert/strict";
import { difference, keyOf } from "../../kernel/difference.js";
import type { Kernel, KernelObject, Netns, Port, Step, Vxlan, VxlanFdb } from "../../kernel/model.js";
import { add, differences, make, next, quiet, replace, settle } from "./kernel.js";

/** A segment's namespace to test a kernel on, and what an operator does in it. */
export interface SegmentWorld extends AsyncDisposable {
  /** Opens the kernel; the second time it is the same namespace after a restart of the process. */
  open(): Promise<Kernel>;
  pod(name: string): Netns;
  /** The number of a device in the segment's namespace. */
  index(device: string): number | undefined;
  /** Somebody behind the pod's end of a port sends from that MAC address. */
  speak(port: Port, mac: string): void;
  /** Somebody else does it, with the commands that the step shows itself as. */
  byHand(step: Step): void;
}

export const gatewayMac = "02:69:73:00:00:01";

/** The tests that segments of both kinds have; the others go on from what they answer. */
export function segmentTests(create: () => Promise<SegmentWorld>, wantedWith: (pod: Netns) => KernelObject[]): Test {
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

export type Test = () => { readonly world: SegmentWorld; readonly kernel: Kernel; readonly wanted: KernelObject[] };

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

  it("changes the MTU of a device in place, and keeps all that hangs on it", async () => {
    const { kernel, wanted } = test();
    await make(kernel, wanted);
    let now = wanted;
    for (const old of wanted.filter((object) => object.kind === "port" || object.kind === "vxlan" || object.kind === "bridge")) {
      const value = { ...old, mtu: 1300 };
      await replace(kernel, old, value);
      now = now.map((object) => (object === old ? value : object));
      assert.deepEqual(differences(now, await kernel.list(now)), []);
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

export const segmentVxlan: Vxlan = {
  ...{ kind: "vxlan", name: "x-1", alias: "isthmus:segment", vni: 8388608, udpPort: 4789, local: "fd00:1::1", madeIn: "node", mtu: 1400 },
  mac: "02:69:73:00:00:03",
};

export function isDevice(object: KernelObject): boolean {
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
  if (object.kind === "policy" || object.kind === "group-member") return "lo";
  const device = "device" in object ? object.device : "";
  return device === "nsm0" ? "p-a" : device;
}
