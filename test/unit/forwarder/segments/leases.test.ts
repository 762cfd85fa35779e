import assert from "node:assert/strict";
import fc from "fast-check";
import { Segment } from "../../../../api/gen/isthmus/v1/segment.js";
import { MeshError } from "../../../../core/error.js";
import { Leases } from "../../../../forwarder/segments/leases.js";

const { signal } = new AbortController();

/** Leases of one node, with a registry that gives these blocks in turn. */
function leasesOf(prefixes: readonly string[], gifts: readonly string[], options: { blocks?: string[]; exclude?: string[] } = {}) {
  const asked: string[] = [];
  const kept: string[][] = [];
  const left = [...gifts];
  const segment = Segment.fromPartial({ name: "plant", layer: "l3", prefixes: [...prefixes], exclude: options.exclude ?? [] });
  const leases = new Leases({
    segment: () => segment,
    blocks: options.blocks ?? [],
    allocate: async (prefix) => {
      asked.push(prefix);
      const [gift] = left.splice(0, 1);
      if (gift === undefined) throw new MeshError("exhausted", "the segment plant has no block left");
      return gift;
    },
    keep: async (blocks) => void kept.push([...blocks]),
  });
  return { leases, asked, kept, segment };
}

describe("addresses of a segment's members", () => {
  it("come from blocks of the node, the first address of which is its own", async () => {
    const { leases, asked, kept } = leasesOf(["10.60.0.0/16", "fd60::/48"], ["10.60.1.0/24", "fd60:0:0:1::/64"]);
    await leases.begin(signal);
    assert.deepEqual(leases.routers, ["10.60.1.1", "fd60:0:0:1::1"]);
    assert.deepEqual(await leases.take([], [], signal), ["10.60.1.2", "fd60:0:0:1::2"]);
    assert.deepEqual(asked, ["0.0.0.0/0", "::/0"]);
    assert.deepEqual(kept.at(-1), ["10.60.1.0/24", "fd60:0:0:1::/64"]);
  });

  it("are kept with all blocks, also when two come at once and one goes meanwhile", async () => {
    const kept: string[][] = [];
    const waiting: (() => void)[] = [];
    const keep = async (blocks: readonly string[]) => {
      await new Promise<void>((resolve) => waiting.push(resolve));
      kept.push([...blocks]);
    };
    const leases = new Leases({
      segment: () => Segment.fromPartial({ name: "plant", layer: "l3", prefixes: ["10.60.0.0/16", "fd60::/48"] }),
      ...{ blocks: ["10.60.2.0/24", "fd60:0:0:2::/64", "10.60.9.9/32"], allocate: async (prefix) => prefix, keep },
    });
    leases.adopt(["10.60.9.9"]);
    const taken = ["10.60.1.1", "fd60::1:1"].map((wish) => leases.take([wish], [], signal).catch(() => []));
    while (waiting.length < 1) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(leases.release(["10.60.9.9"]), ["10.60.9.9/32"]);
    taken.push(keep(leases.blocks).then(() => []));
    const ticking = setInterval(() => waiting.splice(0).forEach((go) => void go()), 1);
    assert.deepEqual(
      (await Promise.all(taken)).map(({ length }) => length),
      [2, 2, 0],
    );
    clearInterval(ticking);
    assert.deepEqual([...(kept.at(-1) ?? [])].sort(), leases.blocks.sort());
  });

  it("give back later what a join that failed had of them", async () => {
    const { leases } = leasesOf(["10.60.0.0/16", "fd60::/48"], ["10.60.1.0/24", "fd60:0:0:1::/64", "10.60.9.9/32"]);
    await leases.begin(signal);
    await assert.rejects(leases.take(["10.60.9.9", "fd60:0:0:9::9"], [], signal), { code: "exhausted" });
    assert.ok(leases.blocks.includes("10.60.9.9/32"));
    assert.deepEqual(leases.release([]), ["10.60.9.9/32"]);
  });

  it("leave out what was excluded since", async () => {
    const { leases, segment } = leasesOf(["10.60.0.0/16"], ["10.60.1.0/24"]);
    await leases.begin(signal);
    segment.exclude = ["10.60.1.0/29"];
    assert.deepEqual(await leases.take([], [], signal), ["10.60.1.8"]);
  });

  it("leave out the network's own address, broadcast, and what is excluded", async () => {
    const { leases } = leasesOf(["10.60.0.0/29"], [], { blocks: ["10.60.0.0/29"], exclude: ["10.60.0.2/32"] });
    assert.deepEqual(leases.routers, ["10.60.0.1"]);
    assert.deepEqual(await leases.take([], ["10.60.0.4/31"], signal), ["10.60.0.3"]);
    assert.deepEqual(await leases.take([], ["10.60.0.4/31"], signal), ["10.60.0.6"]);
    await assert.rejects(leases.take([], ["10.60.0.4/31"], signal), { code: "exhausted" });
  });

  it("ask the registry for another block when one is full, and only then", async () => {
    const { leases, asked } = leasesOf(["10.60.0.0/16"], ["10.60.2.0/30"], { blocks: ["10.60.1.0/30"] });
    const taken = [];
    for (let n = 0; n < 7; n++) taken.push(...(await leases.take([], [], signal)));
    assert.deepEqual(taken, ["10.60.1.1", "10.60.1.2", "10.60.1.3", "10.60.2.0", "10.60.2.1", "10.60.2.2", "10.60.2.3"]);
    assert.deepEqual(asked, ["0.0.0.0/0"]);
  });

  it("are the wished ones where nobody has them", async () => {
    const { leases, asked } = leasesOf(["10.60.0.0/16"], ["10.60.9.9/32"], { blocks: ["10.60.1.0/24"] });
    assert.deepEqual(await leases.take(["10.60.1.77"], [], signal), ["10.60.1.77"]);
    await assert.rejects(leases.take(["10.60.1.77"], [], signal), { code: "exists", message: /10\.60\.1\.77 is another member's/ });
    await assert.rejects(leases.take(["10.60.1.1"], [], signal), { code: "exists", message: /this node's own/ });
    await assert.rejects(leases.take(["10.60.0.0"], [], signal), { code: "invalid", message: /network's own or its broadcast/ });
    await assert.rejects(leases.take(["192.0.2.1"], [], signal), { code: "invalid", message: /no address of the segment plant/ });
    assert.deepEqual(asked, []);
    assert.deepEqual(await leases.take(["10.60.9.9"], [], signal), ["10.60.9.9"]);
    assert.deepEqual(asked, ["10.60.9.9/32"]);
    assert.deepEqual(leases.release(["10.60.9.9"]), ["10.60.9.9/32"]);
    assert.deepEqual(leases.blocks, ["10.60.1.0/24"]);
  });

  it("are all given or none", async () => {
    const { leases } = leasesOf(["10.60.0.0/16", "fd60::/48"], [], { blocks: ["10.60.1.0/24"] });
    await assert.rejects(leases.take([], [], signal), { code: "exhausted" });
    assert.deepEqual(await leases.take(["10.60.1.2"], [], signal).catch((error: MeshError) => error.code), "exhausted");
    assert.deepEqual(leases.release(["10.60.1.2"]), []);
  });

  it("are never given twice, whatever is taken, given back and adopted", async () => {
    const steps = fc.array(fc.oneof(fc.constant("take"), fc.constant("wish"), fc.nat(30)), { maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(steps, async (script) => {
        const blocks = ["10.60.0.0/29", "10.60.0.16/29"];
        let { leases } = leasesOf(["10.60.0.0/24"], [], { blocks });
        const held: string[] = [];
        for (const step of script) {
          if (typeof step === "number") {
            const [gone] = held.splice(step % Math.max(1, held.length), 1);
            if (gone !== undefined) leases.release([gone]);
            continue;
          }
          const wish = step === "wish" ? [`10.60.0.${held.length}`] : [];
          const [address] = await leases.take(wish, [], signal).catch(() => []);
          if (address === undefined) continue;
          assert.ok(!held.includes(address) && !leases.routers.includes(address), `${address} twice`);
          held.push(address);
          // A restart: another run with the same blocks and members.
          ({ leases } = leasesOf(["10.60.0.0/24"], [], { blocks }));
          leases.adopt(held);
        }
      }),
    );
  });
});
