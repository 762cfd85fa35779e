import assert from "node:assert/strict";
import fc from "fast-check";
import { Segment } from "../../api/gen/isthmus/v1/segment.js";
import { MeshError } from "../../core/error.js";
import { rangesMeet } from "../../core/ipam/address.js";
import { parsePrefix } from "../../core/ipam/prefix.js";
import { silent } from "../../core/log.js";
import type { Link } from "../../core/peer.js";
import { cut } from "../../core/segment/cut.js";
import { generateKey } from "../../identity/keys.js";
import { SegmentBlocks } from "../../registry/segments/blocks.js";
import { blocksPrefix, everyBlock, sweepBlocks, writeSegment } from "../../registry/segments/writing.js";
import type { Store } from "../../registry/store.js";
import { FakeClock } from "../lib/fakeClock.js";

/** A store to test with, empty. */
export interface BlocksUnderTest extends AsyncDisposable {
  readonly store: Store;
  /** Ends all that runs on it at once, and opens it again with what it had acknowledged. */
  crash(): Promise<void>;
}

const registryId = "spiffe://paris/registry";
const forever = new AbortController().signal;
const key = generateKey().publicKey;

function linkOf(id: string): Link {
  return { peer: { id, publicKey: key }, self: registryId, tokens: () => assert.fail("nobody signs here") };
}

const nodeId = (number: number) => `spiffe://paris/node/paris-${number}/nsmgr`;
const holderId = (number: number) => `spiffe://paris/node/paris-${number}/forwarder`;

/** Two registries of paris with one store, and nodes that ask them for blocks. */
class World {
  readonly test: BlocksUnderTest;
  #registries: readonly SegmentBlocks[];

  constructor(test: BlocksUnderTest) {
    this.test = test;
    this.#registries = this.#open();
  }

  #open(): readonly SegmentBlocks[] {
    return [1, 2].map(() => new SegmentBlocks({ store: this.test.store, site: "paris", clock: new FakeClock(), log: silent }));
  }

  /** One of the two. */
  registry(number: number): SegmentBlocks {
    return this.#registries[number % 2] ?? assert.fail();
  }

  async make(name: string, more: Partial<Segment> = {}): Promise<void> {
    const spec = { name, prefixes: ["10.60.0.0/27", "fd60::/118"], sites: ["paris"], before: [], ...more };
    const made = Segment.fromPartial({ layer: "l3", home: "paris", siteBlocks: cut(spec), ...spec, ...more });
    await writeSegment(name, { store: this.test.store, registryId }, () => made);
  }

  async end(name: string): Promise<void> {
    await writeSegment(name, { store: this.test.store, registryId }, () => "nothing");
  }

  /** `asked`: in the node's count. */
  allocate(number: number, prefix: string, exclude: readonly string[] = [], at = number, asked?: number): Promise<string> {
    const ask = { segment: "plant", prefix, exclude, holder: holderId(number), at: asked };
    return this.registry(at).allocate(ask, forever, linkOf(nodeId(number)));
  }

  release(number: number, prefix: string, asked?: number): Promise<void> {
    const ask = { segment: "plant", prefix, holder: holderId(number), at: asked };
    return this.registry(number).release(ask, forever, linkOf(nodeId(number)));
  }

  async crash(): Promise<void> {
    await this.test.crash();
    this.#registries = this.#open();
  }

  /** The blocks that the store has, each with who holds it. */
  async stored(name = "plant"): Promise<{ readonly block: string; readonly holder: string }[]> {
    const { entries } = await this.test.store.list(blocksPrefix(name));
    return entries.map((entry) => ({
      block: entry.key.slice(blocksPrefix(name).length),
      holder: (JSON.parse(Buffer.from(entry.value).toString()) as { holder: string }).holder,
    }));
  }
}

/** The promise about address blocks, on every store. */
export function segmentBlocksSuite(name: string, create: () => Promise<BlocksUnderTest>): void {
  describe(`address blocks of segments: ${name}`, () => {
    let world: World;
    beforeEach(async () => {
      world = new World(await create());
      await world.make("plant");
    });
    afterEach(() => world.test[Symbol.asyncDispose]());
    const get = () => world;
    givingCases(get);
    lateCases(get);
    shareCases(get);
    refusalCases(get);
    endCases(get);

    it("never puts one address into the hands of two nodes, whatever they do at once and when it crashes", async () => {
      await fc.assert(
        fc.asyncProperty(rounds, (all) => live(world, all)),
        { numRuns: 15 },
      );
    });
  });
}

function givingCases(world: () => World): void {
  it("gives a node its own, the same again, and another beside it", async () => {
    assert.equal(await world().allocate(1, "0.0.0.0/0"), "10.60.0.0/29");
    assert.equal(await world().allocate(2, "0.0.0.0/0"), "10.60.0.8/29");
    assert.equal(await world().allocate(1, "::/0"), "fd60::/120");
    await world().crash();
    assert.equal(await world().allocate(1, "10.60.0.0/29"), "10.60.0.0/29");
    assert.equal(await world().allocate(1, "0.0.0.0/0"), "10.60.0.0/29");
    assert.equal(await world().allocate(1, "0.0.0.0/0", ["10.60.0.0/29"]), "10.60.0.16/29");
  });

  it("gives everybody who asks at once a block of its own", async () => {
    await world().make("plant", { prefixes: ["10.60.0.0/16"] });
    const numbers = Array.from({ length: 24 }, (_, at) => at);
    const blocks = await Promise.all(numbers.map((number) => world().allocate(number, "0.0.0.0/0")));
    assert.equal(new Set(blocks).size, 24);
    assert.equal((await world().stored()).length, 24);
  });

  it("keeps to what the segment excludes", async () => {
    await world().make("plant", { exclude: ["10.60.0.0/28", "10.60.0.17"] });
    assert.equal(await world().allocate(1, "0.0.0.0/0"), "10.60.0.16/29");
    assert.equal(await world().allocate(2, "10.60.0.1"), "10.60.0.1/32");
  });

  it("gives what was given back to others", async () => {
    assert.equal(await world().allocate(1, "0.0.0.0/0"), "10.60.0.0/29");
    await world().release(1, "10.60.0.0/29");
    await world().release(1, "10.60.0.0/29");
    assert.equal(await world().allocate(2, "0.0.0.0/0"), "10.60.0.0/29");
  });
}

function lateCases(world: () => World): void {
  const blocks = async () => (await world().stored()).map(({ block }) => block);

  it("keeps a block that a node asked for again when what it gave back before comes late", async () => {
    assert.equal(await world().allocate(1, "0.0.0.0/0", [], 1, 10), "10.60.0.0/29");
    // Sent at 11, on its way until now.
    assert.equal(await world().allocate(1, "0.0.0.0/0", [], 1, 12), "10.60.0.0/29");
    await world().release(1, "10.60.0.0/29", 11);
    await world().crash();
    await world().release(1, "10.60.0.0/29", 11);
    assert.deepEqual(await blocks(), ["10.60.0.0/29"]);
    await world().release(1, "10.60.0.0/29", 13);
    assert.deepEqual(await blocks(), []);
    await world().allocate(1, "0.0.0.0/0", [], 1, 14);
    await world().release(1, "10.60.0.0/29");
    assert.deepEqual(await blocks(), [], "who does not count is not late");
  });

  it("keeps a block in which a node asked for one address since", async () => {
    await world().allocate(1, "0.0.0.0/0", [], 1, 10);
    assert.equal(await world().allocate(1, "10.60.0.4", [], 1, 12), "10.60.0.4/32");
    await world().release(1, "10.60.0.0/29", 11);
    assert.deepEqual(await blocks(), ["10.60.0.0/29"]);
  });
}

function shareCases(world: () => World): void {
  it("leaves to others the last block, or the last eighth of many, also where a node asks for each by itself", async () => {
    for (const block of ["10.60.0.0/29", "10.60.0.8/29"]) await world().allocate(1, block);
    assert.equal(await world().allocate(1, "10.60.0.17"), "10.60.0.17/32");
    assert.equal(await world().allocate(1, "10.60.0.18"), "10.60.0.18/32", "it is in a block that nobody else gets");
    const message =
      /^\S+paris-1\/nsmgr has addresses in 3 of the 4 blocks of 10\.60\.0\.0\/27, what paris gives out of the segment plant, and one node gets no more: 2 to \S+paris-1\/nsmgr; make/;
    for (const ask of ["10.60.0.24", "10.60.0.24/29"]) await assert.rejects(world().allocate(1, ask), { code: "exhausted", message });
    await world().allocate(1, "10.60.0.16/29");
    await assert.rejects(world().allocate(1, "0.0.0.0/0", ["10.60.0.0/29", "10.60.0.8/29", "10.60.0.16/29"]), { code: "exhausted" });
    assert.equal(await world().allocate(2, "0.0.0.0/0"), "10.60.0.24/29");
    await world().end("plant");
    await world().make("plant", { prefixes: ["10.60.0.0/16"] });
    const had: string[] = [];
    for (;;)
      try {
        had.push(await world().allocate(1, "0.0.0.0/0", had));
      } catch (error) {
        mustBeExpected(error);
        break;
      }
    assert.equal(had.length, 56);
  });

  it("gives a node the only block that there is", async () => {
    await world().make("plant", { prefixes: ["10.60.0.0/29"], siteBlocks: [{ site: "paris", prefixes: ["10.60.0.0/29"] }] });
    assert.equal(await world().allocate(1, "0.0.0.0/0"), "10.60.0.0/29");
  });
}

function refusalCases(world: () => World): void {
  const refused = (code: string, message: RegExp, task: Promise<unknown>) => assert.rejects(task, { code, message });

  it("takes a block back from nobody but who has it", async () => {
    await world().allocate(1, "0.0.0.0/0");
    const other = /^10\.60\.0\.0\/29 of the segment plant is spiffe:\/\/paris\/node\/paris-1\/forwarder's; \S+paris-2\/forwarder cannot/;
    await refused("denied", other, world().release(2, "10.60.0.0/29"));
    // In the name of its forwarder, by another node.
    const forged = { segment: "plant", prefix: "10.60.0.0/29", holder: holderId(1) };
    await refused(
      "denied",
      /cannot give it back$/,
      world()
        .registry(1)
        .release(forged, forever, linkOf(nodeId(2))),
    );
    await refused("exists", /ask for another/, world().allocate(2, "10.60.0.0/29"));
    assert.equal((await world().stored()).length, 1);
  });

  it("says who has how much of what is used up", async () => {
    for (const number of [1, 2, 3]) await world().allocate(number, "0.0.0.0/0");
    await world().allocate(2, "0.0.0.0/0", ["10.60.0.8/29"]);
    await refused(
      "exhausted",
      /is used up: 4 of 4 blocks of 8 addresses are given, 2 to \S+paris-2\/nsmgr, 1 to/,
      world().allocate(4, "0.0.0.0/0"),
    );
  });

  it("answers who shows who it is, and is of this site", async () => {
    const ask = { segment: "plant", prefix: "::/0", exclude: [] };
    const stranger = "spiffe://tokyo/node/tokyo-1/nsmgr";
    await refused("denied", /only over TLS, to who shows a certificate/, world().registry(1).allocate(ask, forever));
    await refused(
      "denied",
      /is of another site; it asks for address blocks at its own registry/,
      world().registry(1).allocate(ask, forever, linkOf(stranger)),
    );
    await refused(
      "denied",
      /tokyo-1\/nsmgr is of another site/,
      world()
        .registry(1)
        .allocate({ ...ask, holder: stranger }, forever, linkOf(nodeId(1))),
    );
  });

  it("says what there is to who asks for what there is not", async () => {
    const ask = (segment: string, prefix: string) =>
      world()
        .registry(1)
        .allocate({ segment, prefix, exclude: [] }, forever, linkOf(nodeId(1)));
    await refused("not-found", /^there is no segment office in paris; make it with/, ask("office", "::/0"));
    await world().make("v4", { prefixes: ["10.61.0.0/16"] });
    await refused("invalid", /^the segment v4 has no IPv6 prefix; it has 10\.61\.0\.0\/16$/, ask("v4", "::/0"));
    await world().make("far", { sites: ["tokyo"], home: "tokyo" });
    await refused("denied", /^paris does not take part in the segment far; that is for tokyo$/, ask("far", "::/0"));
    await refused("invalid", /is no address range/, ask("plant", "anything"));
  });

  it("leaves alone what it cannot read", async () => {
    await world().test.store.commit({ writes: [{ op: "put", key: `${blocksPrefix("plant")}10.60.0.0/29`, value: Buffer.from("?") }] });
    await refused("exists", /is no address block that this registry can read; remove it there$/, world().allocate(1, "0.0.0.0/0"));
  });
}

function endCases(world: () => World): void {
  it("takes all away with the segment, also more than one transaction can, and none of one made anew", async () => {
    await world().make("plant", { prefixes: ["10.60.0.0/16"] });
    const wide = { segment: "plant", exclude: [] };
    for (let at = 0; at < 40; at++) await world().allocate(at, "0.0.0.0/0");
    for (let at = 0; at < 260; at++)
      await world()
        .registry(at)
        .allocate({ ...wide, prefix: `10.60.63.${at % 256}/32` }, forever, linkOf(nodeId(99)));
    assert.ok((await world().stored()).length > 256);
    await world().end("plant");
    assert.deepEqual((await world().test.store.list(everyBlock)).entries, []);
    await refusedAll(world());
    await world().make("plant");
    assert.equal(await world().allocate(7, "0.0.0.0/0"), "10.60.0.0/29");
  });

  it("gives nothing of what one of that name has left behind to a segment made anew", async () => {
    await world().allocate(1, "0.0.0.0/0");
    await world().test.store.commit({ writes: [{ op: "delete", key: "segment/plant" }] });
    await world().make("plant");
    assert.deepEqual(await world().stored(), []);
  });

  it("takes away what a registry left behind that crashed while it took away a segment, and nothing else", async () => {
    await world().make("office", { prefixes: ["10.61.0.0/16"] });
    await world()
      .registry(1)
      .allocate({ segment: "office", prefix: "0.0.0.0/0", exclude: [] }, forever, linkOf(nodeId(1)));
    await world().allocate(1, "0.0.0.0/0");
    await world().test.store.commit({ writes: [{ op: "delete", key: "segment/plant" }] });
    await world().crash();
    await sweepBlocks(world().test.store);
    assert.deepEqual([(await world().stored()).length, (await world().stored("office")).length], [0, 1]);
  });
}

async function refusedAll(world: World): Promise<void> {
  await assert.rejects(world.allocate(1, "0.0.0.0/0"), { code: "not-found" });
}

interface Step {
  readonly node: number;
  readonly at: number;
  /** Undefined: gives back something that it has. */
  readonly prefix: string | undefined;
  readonly pick: number;
  /** Whether it names what it has. */
  readonly names: boolean;
}

const step: fc.Arbitrary<Step> = fc.record({
  node: fc.integer({ min: 1, max: 4 }),
  at: fc.nat(1),
  prefix: fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom("0.0.0.0/0", "::/0") },
    fc.nat(31).map((host) => `10.60.0.${host}`),
    fc.nat(3).map((block) => `10.60.0.${8 * block}/29`),
    { weight: 3, arbitrary: fc.constant(undefined) },
  ),
  pick: fc.nat(),
  names: fc.boolean(),
});
/** Steps that happen at once, and whether the store crashes among them. */
const rounds = fc.array(fc.record({ steps: fc.array(step, { minLength: 1, maxLength: 8 }), crash: fc.boolean() }), {
  minLength: 3,
  maxLength: 8,
});

/** What the nodes know to have, from the moment that they were told to the moment when they begin to give it back. */
async function live(world: World, all: readonly { readonly steps: readonly Step[]; readonly crash: boolean }[]): Promise<void> {
  await world.end("plant");
  await world.make("plant");
  const had = new Map<number, Set<string>>([1, 2, 3, 4].map((node) => [node, new Set()]));
  for (const { steps, crash } of all) {
    // A node does one thing after another; nodes do not wait for each other.
    const done = Promise.all([...had].map(([node, mine]) => act(world, node, mine, steps)));
    if (crash) await world.crash();
    await done;
    mustBeApart([...had].flatMap(([node, blocks]) => [...blocks].map((block) => ({ block, holder: holderId(node) }))));
    const stored = await world.stored();
    mustBeApart(stored);
    for (const [node, blocks] of had)
      for (const block of blocks)
        assert.ok(
          stored.some((one) => one.holder === holderId(node) && covers(one.block, block)),
          `${block} of ${node} is not written`,
        );
  }
}

async function act(world: World, node: number, mine: Set<string>, steps: readonly Step[]): Promise<void> {
  for (const { at, prefix, pick, names } of steps.filter((one) => one.node === node))
    try {
      if (prefix === undefined) await giveBack(world, node, mine, pick);
      else mine.add(await world.allocate(node, prefix, names ? [...mine] : [], at));
    } catch (error) {
      mustBeExpected(error);
    }
}

async function giveBack(world: World, node: number, mine: Set<string>, pick: number): Promise<void> {
  const block = [...mine][pick % Math.max(1, mine.size)];
  if (block === undefined) return;
  // With it goes what lies in it and has no record of its own.
  for (const one of [...mine]) if (covers(block, one)) mine.delete(one);
  await world.release(node, block);
}

function covers(outer: string, inner: string): boolean {
  const [a, b] = [parsePrefix(outer), parsePrefix(inner)];
  return a.family === b.family && a.first <= b.first && b.last <= a.last;
}

function mustBeApart(blocks: readonly { readonly block: string; readonly holder: string }[]): void {
  for (const [at, one] of blocks.entries())
    for (const other of blocks.slice(0, at))
      assert.ok(
        one.holder === other.holder || !rangesMeet(parsePrefix(one.block), parsePrefix(other.block)),
        `${one.block} is ${one.holder}'s and ${other.block} is ${other.holder}'s`,
      );
}

function mustBeExpected(error: unknown): void {
  if (!(error instanceof MeshError) || !["exists", "exhausted", "unreachable", "conflict"].includes(error.code)) throw error;
}
