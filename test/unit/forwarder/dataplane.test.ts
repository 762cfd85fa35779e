import assert from "node:assert/strict";
import { silent } from "../../../core/log.js";
import { Dataplane } from "../../../forwarder/dataplane.js";
import { FakeKernel } from "../../../kernel/fake.js";
import type { KernelObject, Netns } from "../../../kernel/model.js";
import { FakeClock } from "../../lib/fakeClock.js";

function portOf(name: string, pod: Netns): KernelObject[] {
  const port = {
    kind: "port",
    name,
    alias: `isthmus:${name}:client`,
    pod,
    podInterface: name,
    podMac: "02:00:00:00:00:01",
    mtu: 1500,
  } as const;
  return [port, { kind: "address", where: pod, device: name, address: "172.16.1.1/32" }];
}

class Bench implements AsyncDisposable {
  readonly kernel = new FakeKernel();
  readonly clock = new FakeClock();
  readonly pod = this.kernel.machine.addPod("pod");
  readonly gone: string[] = [];
  readonly asked: string[][] = [];
  lists = 0;
  readonly dataplane: Dataplane;

  constructor() {
    const kernel = this.kernel;
    const find = kernel.find.bind(kernel);
    kernel.find = async (devices, wanted) => {
      this.asked.push([...devices].sort());
      return find(devices, wanted);
    };
    const list = kernel.list.bind(kernel);
    kernel.list = async (wanted) => {
      this.lists++;
      return list(wanted);
    };
    const onPodGone = (unit: string) => void this.gone.push(unit);
    this.dataplane = new Dataplane({ kernel, clock: this.clock, log: silent, exists: ({ path }) => path !== "/gone", onPodGone });
  }

  done(): string[] {
    return this.kernel.commands.splice(0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dataplane[Symbol.asyncDispose]();
  }
}

describe("forwarder: data plane", () => {
  it("looks only at the devices that a change touches, and once for changes of one moment", async () => {
    await using bench = new Bench();
    const { dataplane, pod } = bench;
    for (const name of ["a", "b", "c"]) dataplane.set(name, portOf(name, pod));
    await Promise.all(["a", "b", "c"].map((name) => dataplane.settled(name)));
    assert.deepEqual(bench.asked, [["a", "b", "c"]]);
    dataplane.set("b", []);
    await dataplane.settled("b");
    assert.deepEqual(bench.asked.at(-1), ["b"]);
    assert.deepEqual(bench.done().at(-1), "ip link delete b");
  });

  it("tells each unit of its own failures, does the rest, and tries again in a second", async () => {
    await using bench = new Bench();
    const { dataplane, kernel, pod, clock } = bench;
    kernel.refuse(`address netns:${pod.cookie} a 172.16.1.1/32`, new Error("busy"));
    dataplane.set("a", portOf("a", pod));
    dataplane.set("b", portOf("b", pod));
    const [a, b] = await Promise.allSettled([dataplane.settled("a"), dataplane.settled("b")]);
    assert.match(String(a.status === "rejected" && a.reason), /busy/);
    assert.equal(b.status, "fulfilled");
    bench.done();
    await clock.advance(1000);
    assert.deepEqual(bench.done(), ["ip -n pod address add 172.16.1.1/32 dev a"]);
  });

  it("gives a name in a pod from one unit to another in one go", async () => {
    await using bench = new Bench();
    const { dataplane, pod } = bench;
    const named = (name: string) =>
      portOf(name, pod).map((object) => (object.kind === "port" ? { ...object, podInterface: "nsm0" } : { ...object, device: "nsm0" }));
    dataplane.set("a", named("a"));
    await dataplane.settled("a");
    dataplane.drop("a");
    dataplane.set("b", named("b"));
    await dataplane.settled("b");
    assert.equal(bench.kernel.text().match(/isthmus:(\w):client/)?.[1], "b");
  });

  describe("in rounds", () => {
    it("looks at every device once in 20 s, a few at a time and evenly", async () => {
      await using bench = new Bench();
      const { dataplane, pod, clock } = bench;
      for (let n = 0; n < 100; n++) dataplane.set(`u${n}`, portOf(`u${n}`, pod));
      await dataplane.start();
      for (let second = 0; second < 19; second++) await clock.advance(1000); // it hears of its own changes
      bench.asked.splice(0);
      await clock.advance(11_000);
      assert.deepEqual(
        bench.asked.map((devices) => devices.length),
        [8, 8, 8, 8, 8, 8, 8],
      );
      await clock.advance(9_900);
      assert.equal(new Set(bench.asked.flat()).size, 100);
      assert.equal(bench.asked.flat().length, 100);
      assert.equal(bench.lists, 1);
    });

    it("also looks while there is more urgent work all the time", async () => {
      await using bench = new Bench();
      const { dataplane, pod, clock, kernel } = bench;
      for (const name of ["a", "b"]) dataplane.set(name, portOf(name, pod));
      await dataplane.start();
      await clock.advance(20_000);
      for (let n = 0; n < 40; n++) {
        kernel.machine.tell({ kind: "changed", device: "a" });
        await clock.advance(500);
      }
      assert.ok(bench.asked.filter((devices) => devices.includes("b")).length >= 2);
    });

    it("deletes devices and entries of the filter that nobody wants", async () => {
      await using bench = new Bench();
      const { dataplane, pod, clock, kernel } = bench;
      dataplane.set("a", portOf("a", pod));
      await dataplane.start();
      kernel.machine.settle({ ...portOf("stray", pod)[0], alias: "isthmus:old:client" } as KernelObject);
      kernel.machine.settle({ kind: "vxlan-source", source: "fd00:1::2", vni: 9 });
      await clock.advance(19_999);
      bench.done();
      await clock.advance(1);
      assert.deepEqual(bench.done(), ["nft delete element inet isthmus sources6 { fd00:1::2 . 9 }", "ip link delete stray"]);
      assert.equal(bench.lists, 1);
    });

    it("puts all entries of the filter back at once, as somebody may have deleted its table", async () => {
      await using bench = new Bench();
      const { dataplane, clock, kernel } = bench;
      const sources: KernelObject[] = [];
      for (let n = 0; n < 50; n++) {
        const vxlan = { kind: "vxlan", name: `x${n}`, alias: `isthmus:x${n}:client`, vni: n, udpPort: 4789 } as const;
        const source = { kind: "vxlan-source", source: "fd00:1::2", vni: n } as const;
        sources.push(source);
        dataplane.set(`x${n}`, [{ ...vxlan, local: "fd00:1::1", madeIn: "mesh", mtu: 1400 }, source]);
      }
      await dataplane.start();
      await clock.advance(10_000);
      for (const source of sources) kernel.machine.remove(source);
      await clock.advance(10_000);
      assert.equal((await kernel.overview()).sources.length, 50);
    });

    it("lists everything in one go now and then", async () => {
      await using bench = new Bench();
      bench.dataplane.set("a", portOf("a", bench.pod));
      await bench.dataplane.start();
      await bench.clock.advance(15 * 20_000);
      assert.equal(bench.lists, 2);
    });
  });

  it("does not make the port of a pod that is gone, and says so", async () => {
    await using bench = new Bench();
    const { dataplane, pod } = bench;
    dataplane.set("a", portOf("a", { path: "/gone", cookie: "1" }));
    dataplane.set("b", portOf("b", pod));
    const [a, b] = await Promise.allSettled([dataplane.settled("a"), dataplane.settled("b")]);
    assert.equal(a.status === "rejected" && a.reason.code, "netns-gone");
    assert.equal(b.status, "fulfilled");
    assert.deepEqual(bench.gone, ["a"]);
  });

  it("looks again after events, and at everything when some were lost", async () => {
    await using bench = new Bench();
    const { dataplane, pod, clock, kernel } = bench;
    dataplane.set("a", portOf("a", pod));
    await dataplane.start();
    assert.deepEqual(bench.asked, []);
    await clock.advance(1200);
    assert.deepEqual(bench.asked, [["a"]], "what it did itself it looks at once more, without haste");
    bench.asked.splice(0);
    kernel.machine.tell({ kind: "changed", device: "a" });
    kernel.machine.tell({ kind: "changed", device: "somebody-else" });
    await clock.advance(200);
    assert.deepEqual(bench.asked, [["a"]]);
    kernel.machine.tell({ kind: "resync" });
    await clock.advance(200);
    assert.equal(bench.lists, 2);
  });

  it("leaves the kernel as it is when it stops", async () => {
    const bench = new Bench();
    bench.dataplane.set("a", portOf("a", bench.pod));
    await bench.dataplane.start();
    const text = bench.kernel.text();
    await bench[Symbol.asyncDispose]();
    assert.equal(bench.kernel.text(), text);
    assert.equal(bench.clock.pending, 0);
  });
});
