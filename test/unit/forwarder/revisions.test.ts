import assert from "node:assert/strict";
import { silent } from "../../../core/log.js";
import { Dataplane } from "../../../forwarder/dataplane.js";
import { FakeKernel } from "../../../kernel/fake.js";
import type { KernelObject } from "../../../kernel/model.js";
import { FakeClock } from "../../lib/fakeClock.js";

const macs = { a: "02:00:00:00:00:0a", b: "02:00:00:00:00:0b" } as const;

function leading(mac: string, address: string): KernelObject {
  return { kind: "vxlan-fdb", device: "trunk", mac, address, vni: 9 };
}

/** A data plane with a device on which many units have something. */
class Bench implements AsyncDisposable {
  readonly kernel = new FakeKernel();
  readonly clock = new FakeClock();
  readonly asked: string[][] = [];
  readonly dataplane = new Dataplane({ kernel: this.kernel, clock: this.clock, log: silent, exists: () => true, onPodGone: () => {} });

  static async start(): Promise<Bench> {
    const bench = new Bench();
    const { kernel, dataplane } = bench;
    const vxlan = { kind: "vxlan", name: "trunk", alias: "isthmus:trunk", vni: 7, udpPort: 4789, local: "fd00::1" } as const;
    dataplane.set("trunk", [{ ...vxlan, madeIn: "node", mtu: 1400 }]);
    await dataplane.start();
    const find = kernel.find.bind(kernel);
    kernel.find = async (devices, wanted) => {
      if (devices.length > 0) bench.asked.push([...devices]);
      return await find(devices, wanted);
    };
    kernel.commands.splice(0);
    return bench;
  }

  /** What was done meanwhile, as far as it is about MAC addresses. */
  async done(): Promise<string[]> {
    await this.dataplane.settled("");
    return this.kernel.commands.splice(0).filter((command) => command.startsWith("bridge fdb"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dataplane[Symbol.asyncDispose]();
  }
}

const put = (mac: string, to: string) => `bridge fdb replace ${mac} dev trunk dst ${to} vni 9`;
const del = (mac: string, to: string) => `bridge fdb delete ${mac} dev trunk dst ${to} vni 9`;

describe("forwarder: units that are revised", () => {
  it("are written as far as they differ, and taken away, without a look at their device", async () => {
    await using bench = await Bench.start();
    const { dataplane } = bench;
    dataplane.revise("one", [leading(macs.a, "fd00::2"), leading(macs.b, "fd00::2")]);
    assert.deepEqual(await bench.done(), [put(macs.a, "fd00::2"), put(macs.b, "fd00::2")]);
    dataplane.revise("one", [leading(macs.a, "fd00::2"), leading(macs.b, "fd00::3")]);
    assert.deepEqual(await bench.done(), [put(macs.b, "fd00::3")]);
    dataplane.revise("one", [leading(macs.a, "fd00::2"), leading(macs.b, "fd00::3")]);
    assert.deepEqual(await bench.done(), []);
    dataplane.revise("one", []);
    assert.deepEqual((await bench.done()).sort(), [del(macs.a, "fd00::2"), del(macs.b, "fd00::3")]);
    assert.deepEqual(bench.asked, []);
  });

  it("give what both want from one to another, in whatever order they say so", async () => {
    for (const order of [
      ["old", "new"],
      ["new", "old"],
    ] as const) {
      await using bench = await Bench.start();
      const { dataplane } = bench;
      dataplane.revise("old", [leading(macs.a, "fd00::2")]);
      await bench.done();
      for (const unit of order) {
        dataplane.revise(unit, unit === "old" ? [] : [leading(macs.a, "fd00::3")]);
        await bench.done();
      }
      assert.ok(bench.kernel.text().includes(put(macs.a, "fd00::3")), order.join());
      assert.ok(!bench.kernel.text().includes("fd00::2"), order.join());
    }
  });

  it("are looked at like all others after events and in rounds", async () => {
    await using bench = await Bench.start();
    const { dataplane, kernel, clock } = bench;
    dataplane.revise("one", [leading(macs.a, "fd00::2")]);
    await bench.done();
    await clock.advance(1_500);
    kernel.machine.remove(leading(macs.a, "fd00::2"));
    kernel.machine.tell({ kind: "changed", device: "trunk" });
    await clock.advance(200);
    assert.deepEqual(await bench.done(), [put(macs.a, "fd00::2")]);
    kernel.machine.remove(leading(macs.a, "fd00::2"));
    await clock.advance(45_000);
    assert.deepEqual(await bench.done(), [put(macs.a, "fd00::2")]);
  });

  it("are tried again by a look at the device where they could not be written", async () => {
    await using bench = await Bench.start();
    const { dataplane, kernel, clock } = bench;
    kernel.refuse(`vxlan-fdb trunk ${macs.a}`, new Error("busy"));
    dataplane.revise("one", [leading(macs.a, "fd00::2")]);
    await assert.rejects(dataplane.settled("one"), /busy/);
    assert.deepEqual(bench.asked, []);
    await clock.advance(1_000);
    assert.deepEqual(await bench.done(), [put(macs.a, "fd00::2")]);
    assert.deepEqual(bench.asked[0], ["trunk"]);
  });

  it("are adopted without a step at the start", async () => {
    const first = await Bench.start();
    first.dataplane.revise("one", [leading(macs.a, "fd00::2")]);
    await first.done();
    await first[Symbol.asyncDispose]();
    const kernel = new FakeKernel(first.kernel.machine);
    await using again = new Dataplane({ kernel, clock: first.clock, log: silent, exists: () => true, onPodGone: () => {} });
    const vxlan = { kind: "vxlan", name: "trunk", alias: "isthmus:trunk", vni: 7, udpPort: 4789, local: "fd00::1" } as const;
    again.set("trunk", [{ ...vxlan, madeIn: "node", mtu: 1400 }]);
    again.revise("one", [leading(macs.a, "fd00::2")]);
    await again.start();
    assert.deepEqual(kernel.commands, []);
  });
});
