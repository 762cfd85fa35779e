import assert from "node:assert/strict";
import fc from "fast-check";
import { Segment, type StickyLease } from "../../api/gen/isthmus/v1/segment.js";
import { NetworkServiceEndpoint } from "../../api/gen/registry/registry.js";
import { MeshError } from "../../core/error.js";
import { rangesMeet } from "../../core/ipam/address.js";
import { parsePrefix } from "../../core/ipam/prefix.js";
import { silent } from "../../core/log.js";
import { membershipOf } from "../../core/segment/membership.js";
import { type StickyWord, stickyLabels } from "../../core/segment/stickyWord.js";
import { generateKey } from "../../identity/keys.js";
import { endpointKind } from "../../registry/kind.js";
import { SegmentBlocks } from "../../registry/segments/blocks.js";
import { mustSayItself } from "../../registry/segments/registrant.js";
import { StickyNames } from "../../registry/segments/stickyNames.js";
import { type StickyHolder, type StickyRecord, stickyIn } from "../../registry/segments/stickyRecord.js";
import { blocksPrefix, namesPrefix, sweepBlocks, writeSegment } from "../../registry/segments/writing.js";
import { FakeClock } from "../lib/fakeClock.js";
import type { BlocksUnderTest } from "./segmentBlocks.js";

const forever = new AbortController().signal;
const day = 86_400_000;
const { publicKey } = generateKey();

/** Two registries of paris with one store; members who claim names there, and nodes that ask for blocks. */
class World {
  readonly clock = new FakeClock();
  readonly test: BlocksUnderTest;
  #registries: readonly { readonly names: StickyNames; readonly blocks: SegmentBlocks }[];

  constructor(test: BlocksUnderTest) {
    this.test = test;
    this.#registries = this.#open();
  }

  /** Of its prefixes paris has a part. */
  async make(more: Partial<Segment> = {}): Promise<void> {
    const prefixes = more.prefixes ?? ["10.60.0.0/26", "fd60::/112"];
    const siteBlocks = [{ site: "paris", prefixes: prefixes.length === 0 ? [] : ["10.60.0.0/28", "fd60::/116"] }];
    const made = Segment.fromPartial({ name: "plant", layer: "l3", home: "paris", sites: ["paris"], siteBlocks, ...more, prefixes });
    await writeSegment("plant", this.#writing, () => made);
  }

  async end(): Promise<void> {
    await writeSegment("plant", this.#writing, () => "nothing");
  }

  claim(connection: number, name: string, wishes: readonly string[] = [], at = connection): Promise<StickyLease> {
    return this.#at(at).names.claim({ segment: "plant", name, wishes, holder: holderOf(connection) }, forever);
  }

  release(connection: number, name: string): Promise<void> {
    return this.#at(connection).names.release({ segment: "plant", name, holder: holderOf(connection) });
  }

  /** A node's block, or single address. */
  allocate(node: number, prefix: string, at = node): Promise<string> {
    const peer = { id: `spiffe://paris/node/${node}/nsmgr`, publicKey };
    const link = { peer, self: "spiffe://paris/registry", tokens: () => assert.fail("nobody signs here") };
    return this.#at(at).blocks.allocate({ segment: "plant", prefix, exclude: [] }, forever, link);
  }

  async crash(): Promise<void> {
    await this.test.crash();
    this.#registries = this.#open();
  }

  /** What the store has, by name. */
  async names(): Promise<Map<string, StickyRecord>> {
    const { entries } = await this.test.store.list(namesPrefix("plant"));
    return new Map(entries.map((entry) => [entry.key.slice(namesPrefix("plant").length), stickyIn(entry)]));
  }

  /** What others are told: `cam 10.60.0.9 fd60::f01: 2 at node 2, 1 at node 1`. */
  async said(): Promise<string[]> {
    const { entries } = await this.test.store.list("endpoints/");
    return entries.map((entry) => {
      const { word } = membershipOf(endpointKind.decode(entry), "plant") as { readonly word: StickyWord };
      const claims = word.claims.map(({ id, sequence }) => `${sequence} at node ${id.split("/")[4]}`);
      return `${[word.name, ...word.addresses].join(" ")}: ${claims.join(", ")}`;
    });
  }

  /** `10.60.0.9/32 the sticky name cam`, for all that is given. */
  async given(): Promise<string[]> {
    const { entries } = await this.test.store.list(blocksPrefix("plant"));
    return entries.map(({ key, value }) => {
      const { holder } = JSON.parse(Buffer.from(value).toString()) as { holder: string };
      return `${key.slice(blocksPrefix("plant").length)} ${holder}`;
    });
  }

  get #writing() {
    return { store: this.test.store, registryId: "spiffe://paris/registry" };
  }

  #at(number: number) {
    return this.#registries[number % 2] ?? assert.fail();
  }

  #open() {
    const parts = { store: this.test.store, site: "paris", registryId: "spiffe://paris/registry", clock: this.clock, log: silent };
    return [1, 2].map(() => ({ names: new StickyNames(parts), blocks: new SegmentBlocks(parts) }));
  }
}

/** Each connection is of another node. */
function holderOf(connection: number): StickyHolder {
  const node = `spiffe://paris/node/${connection}`;
  return { site: "paris", nsmgr: `${node}/nsmgr`, forwarder: `${node}/forwarder`, connection: `connection-${connection}` };
}

/** The promise about sticky names, on every store. */
export function stickyNamesSuite(name: string, create: () => Promise<BlocksUnderTest>): void {
  describe(`sticky names of segments: ${name}`, () => {
    let world: World;
    beforeEach(async () => {
      world = new World(await create());
      await world.make();
    });
    afterEach(() => world.test[Symbol.asyncDispose]());
    const get = () => world;
    keepingCases(get);
    wishCases(get);
    givingUpCases(get);
    endCases(get);

    it("never have an address in common, or with a node's block, whatever is done at once and when it crashes", async () => {
      await fc.assert(
        fc.asyncProperty(rounds, (all) => live(world, all)),
        { numRuns: 15 },
      );
    });
  });
}

const cam = { addresses: ["10.60.0.9", "fd60::f01"], sequence: 1 };

function keepingCases(world: () => World): void {
  it("keep their addresses, whoever claims them, and count who had them", async () => {
    assert.deepEqual(await world().claim(1, "cam"), cam);
    assert.deepEqual(await world().claim(1, "cam"), cam);
    assert.deepEqual(await world().claim(2, "cam"), { ...cam, sequence: 2 });
    await world().release(2, "cam");
    await world().crash();
    assert.deepEqual(await world().claim(3, "cam"), { ...cam, sequence: 3 });
    const record = (await world().names()).get("cam");
    assert.deepEqual([record?.holder, record?.sinceMs], [holderOf(3), world().clock.now()]);
    assert.deepEqual(await world().given(), ["10.60.0.9/32 the sticky name cam", "fd60::f01/128 the sticky name cam"]);
  });

  it("are told to others with who claimed them last, and who did before", async () => {
    await world().claim(1, "cam");
    assert.deepEqual(await world().said(), ["cam 10.60.0.9 fd60::f01: 1 at node 1"]);
    await world().claim(2, "cam");
    await world().release(2, "cam");
    await world().claim(3, "cam");
    assert.deepEqual(await world().said(), ["cam 10.60.0.9 fd60::f01: 3 at node 3, 2 at node 2"]);
    // As when a join has failed, and is tried again.
    await world().release(3, "cam");
    await world().claim(3, "cam");
    assert.deepEqual(await world().said(), ["cam 10.60.0.9 fd60::f01: 4 at node 3, 2 at node 2"]);
    const sentence =
      /^plant is a segment, and who has its sticky names says the registry of its home; register x without the label sticky$/;
    const labels = stickyLabels("spiffe://paris/registry", { name: "cam", addresses: [], claims: [] });
    const forged = NetworkServiceEndpoint.fromPartial({
      name: "x",
      networkServiceNames: ["plant"],
      networkServiceLabels: { plant: { labels } },
    });
    const registry = { ids: ["spiffe://paris/registry"], proven: true };
    assert.throws(() => mustSayItself(forged, registry, () => true), { code: "denied", message: sentence });
    mustSayItself(forged, registry, () => false);
  });

  it("are released by nobody but who has them", async () => {
    await world().claim(1, "cam");
    await world().claim(2, "cam");
    await world().release(1, "cam");
    assert.deepEqual((await world().names()).get("cam")?.holder, holderOf(2));
    await world().release(2, "cam");
    await world().release(2, "cam");
    await world().release(2, "unknown");
    assert.equal((await world().names()).get("cam")?.holder, undefined);
  });

  it("are not taken back by a connection that lost them while the other has them, or two that heal would never rest", async () => {
    await world().claim(1, "cam");
    await world().claim(2, "cam");
    const sentence =
      /^the sticky name cam of the segment plant was taken over by a member at spiffe:\/\/paris\/node\/2\/forwarder; join anew/;
    await assert.rejects(world().claim(1, "cam"), { code: "moved", message: sentence });
    assert.deepEqual(await world().claim(3, "cam"), { ...cam, sequence: 3 });
    await assert.rejects(world().claim(2, "cam"), { code: "moved" });
    await world().release(3, "cam");
    assert.deepEqual(await world().claim(1, "cam"), { ...cam, sequence: 4 });
    assert.equal((await world().names()).get("cam")?.takenFrom.length, 2);
  });

  it("are each somebody's when all claim at once, and one is the last one's", async () => {
    const numbers = Array.from({ length: 12 }, (_, at) => at + 1);
    const own = await Promise.all(numbers.map((number) => world().claim(number, `cam-${number}`)));
    assert.equal(new Set(own.flatMap(({ addresses }) => addresses)).size, 24);
    const one = await Promise.all(numbers.map((number) => world().claim(number, "one")));
    assert.deepEqual(
      one.map(({ sequence }) => sequence).sort((a, b) => a - b),
      numbers,
    );
    assert.equal(new Set(one.map(({ addresses }) => addresses.join())).size, 1);
    const last = one.findIndex(({ sequence }) => sequence === 12) + 1;
    assert.deepEqual((await world().names()).get("one")?.holder, holderOf(last));
  });

  it("need no addresses where the segment has none", async () => {
    await world().end();
    await world().make({ layer: "l2", prefixes: [] });
    assert.deepEqual(await world().claim(1, "cam"), { addresses: [], sequence: 1 });
    assert.deepEqual(await world().claim(2, "cam"), { addresses: [], sequence: 2 });
  });
}

function wishCases(world: () => World): void {
  const refused = (code: string, message: RegExp, name: string, ...wishes: readonly string[]) =>
    assert.rejects(world().claim(1, name, wishes), { code, message });

  it("have the addresses that are wished for where those are free", async () => {
    await world().allocate(7, "10.60.0.5");
    assert.deepEqual(await world().claim(1, "cam", ["10.60.0.3"]), { addresses: ["10.60.0.3", "fd60::f01"], sequence: 1 });
    // As a connection has them that is asked for again.
    assert.equal((await world().claim(2, "cam", ["10.60.0.3", "fd60:0::f01"])).sequence, 2);
    await refused("exists", /^10\.60\.0\.3 of the segment plant cannot be given: 10\.60\.0\.3 is the sticky name cam's/, "b", "10.60.0.3");
    await refused("exists", /10\.60\.0\.5 is spiffe:\/\/paris\/node\/7\/nsmgr's/, "b", "10.60.0.5");
    await refused(
      "exists",
      /^the sticky name cam of the segment plant has 10\.60\.0\.3 and fd60::f01; join by it without 10\.60\.0\.4, or/,
      "cam",
      "10.60.0.4",
    );
    assert.deepEqual([...(await world().names()).keys()], ["cam"]);
  });

  it("do not have others than those of their home's part of the segment", async () => {
    await refused(
      "invalid",
      /^10\.61\.0\.3 is no address of the segment plant, which has 10\.60\.0\.0\/26 and fd60::\/112$/,
      "b",
      "10.61.0.3",
    );
    await refused(
      "invalid",
      /^10\.60\.0\.17 of the segment plant is not paris's to give; that gives out 10\.60\.0\.0\/28, choose of those$/,
      "b",
      "10.60.0.17",
    );
    await refused(
      "invalid",
      /^10\.60\.0\.0 is the network's own or its broadcast address in the segment plant; choose another$/,
      "b",
      "10.60.0.0",
    );
    await refused("invalid", /one address of each family, got 10\.60\.0\.3\/32 and 10\.60\.0\.4\/32$/, "b", "10.60.0.3", "10.60.0.4");
    await refused("invalid", /^10\.60\.0\.8\/29 is no address of the segment plant/, "b", "10.60.0.8/29");
    await refused("invalid", /^a sticky name has at most 63 lower-case letters/, "A/b");
    assert.equal((await world().names()).size, 0);
  });

  it("keep to what the segment excludes, and away from nodes' blocks, which keep away from them", async () => {
    await world().make({ exclude: ["10.60.0.9"] });
    assert.deepEqual((await world().claim(1, "cam")).addresses, ["10.60.0.10", "fd60::f01"]);
    assert.equal(await world().allocate(1, "0.0.0.0/0"), "10.60.0.0/29");
    await assert.rejects(world().allocate(1, "10.60.0.8/29"), { code: "exists", message: /10\.60\.0\.10 is the sticky name cam's/ });
    await assert.rejects(world().allocate(1, "10.60.0.10"), { code: "exists" });
    assert.deepEqual((await world().claim(1, "b")).addresses, ["10.60.0.11", "fd60::f02"]);
  });
}

function givingUpCases(world: () => World): void {
  /** Takes all that there is, so that there are six names. */
  const fill = async () => {
    await world().allocate(1, "0.0.0.0/0");
    for (let number = 1; number <= 8; number++) await world().claim(number, `n-${number}`);
  };

  it("are given up when there is no room without, those first that nobody has had for the longest time", async () => {
    await fill();
    await assert.rejects(world().claim(9, "new"), {
      code: "exhausted",
      message: /is used up: 1 blocks are given to nodes and 8 single addresses$/,
    });
    for (const number of [3, 5, 4]) {
      await world().release(number, `n-${number}`);
      await world().clock.advance(day);
    }
    await world().clock.advance(4 * day);
    await assert.rejects(world().claim(9, "new"), { code: "exhausted" });
    await world().clock.advance(day);
    const [before, lease] = [(await world().names()).get("n-3"), await world().claim(9, "new")];
    // Who may think that it still has the name that was given up counts less than who has the address now.
    assert.deepEqual(lease, { addresses: before?.addresses, sequence: 2 });
    assert.deepEqual([...(await world().names()).keys()].sort(), ["n-1", "n-2", "n-4", "n-5", "n-6", "n-7", "n-8", "new"]);
    // That nobody has had n-4 and n-5 for long comes with time.
    await assert.rejects(world().claim(9, "newer"), { code: "exhausted" });
    await world().clock.advance(day);
    await world().claim(4, "n-4");
    assert.equal((await world().claim(9, "newer")).sequence, 2);
    assert.equal((await world().names()).has("n-5"), false);
    assert.deepEqual((await world().said()).map((text) => text.split(" ")[0]).sort(), [...(await world().names()).keys()].sort());
    assert.equal((await world().given()).length, 17);
  });

  it("are not given up while somebody has them, or there is room", async () => {
    await fill();
    await world().clock.advance(30 * day);
    await assert.rejects(world().claim(9, "new"), { code: "exhausted" });
    await world().end();
    await world().make();
    await world().claim(1, "cam");
    await world().release(1, "cam");
    await world().clock.advance(30 * day);
    await world().claim(2, "new");
    assert.deepEqual([...(await world().names()).keys()], ["cam", "new"]);
  });
}

function endCases(world: () => World): void {
  const leftOf = async () => (await world().test.store.list("segment-")).entries.map(({ key }) => key);

  it("end with their segment", async () => {
    await world().claim(1, "cam");
    await world().end();
    assert.deepEqual([await leftOf(), await world().said()], [[], []]);
    await assert.rejects(world().claim(1, "cam"), { code: "not-found", message: /^no segment plant was made in paris; make it with/ });
    await world().release(1, "cam");
    await world().make();
    assert.deepEqual(await world().claim(2, "cam"), cam);
  });

  it("of a segment that a registry was deleting when it crashed end when it starts", async () => {
    await world().claim(1, "cam");
    await world().test.store.commit({ writes: [{ op: "delete", key: "segment/plant" }] });
    await world().crash();
    await sweepBlocks(world().test.store);
    assert.deepEqual([await leftOf(), await world().said()], [[], []]);
  });

  it("are kept where the segment was made, and nowhere else", async () => {
    await world().end();
    await world().make({ home: "tokyo", sites: ["tokyo", "paris"] });
    await assert.rejects(world().claim(1, "cam"), { code: "not-found", message: /^no segment plant was made in paris/ });
  });

  it("that cannot be read are left alone", async () => {
    await world().test.store.commit({ writes: [{ op: "put", key: `${namesPrefix("plant")}cam`, value: Buffer.from("{}") }] });
    await assert.rejects(world().claim(1, "cam"), {
      code: "exists",
      message: /is no sticky name that this registry can read; remove it there$/,
    });
  });
}

interface Step {
  readonly who: number;
  readonly at: number;
  readonly does: "claim" | "release" | "block" | "host" | "wait";
  readonly name: string;
  readonly host: number;
  readonly wishes: boolean;
}

const step: fc.Arbitrary<Step> = fc.record({
  who: fc.integer({ min: 1, max: 6 }),
  at: fc.nat(1),
  does: fc.constantFrom("claim", "claim", "claim", "release", "block", "host", "wait"),
  name: fc.constantFrom("a", "b", "c", "d", "e"),
  host: fc.nat(15),
  wishes: fc.boolean(),
});
/** Steps that happen at once, and whether the store crashes among them. */
const rounds = fc.array(fc.record({ steps: fc.array(step, { minLength: 1, maxLength: 8 }), crash: fc.boolean() }), {
  minLength: 3,
  maxLength: 8,
});

async function live(world: World, all: readonly { readonly steps: readonly Step[]; readonly crash: boolean }[]): Promise<void> {
  await world.end();
  await world.make();
  /** What somebody was told of each name: the addresses never change as long as it is there, and no number comes twice. */
  const told: { readonly name: string; readonly addresses: string; readonly sequence: number; readonly who: number }[] = [];
  for (const { steps, crash } of all) {
    const done = Promise.all(
      steps.map(async (one) => {
        const lease = await act(world, one).catch(mustBeExpected);
        if (lease !== undefined) told.push({ name: one.name, who: one.who, addresses: lease.addresses.join(), sequence: lease.sequence });
      }),
    );
    if (crash) await world.crash();
    await done;
    await mustBeWhole(world);
    const names = await world.names();
    for (const { addresses, sequence, holder } of names.values())
      for (const one of told)
        if (one.addresses === addresses.join() && one.sequence === sequence && holder !== undefined)
          assert.equal(holder.connection, `connection-${one.who}`);
  }
  const seen = new Map<string, number>();
  for (const { addresses, sequence, who } of told) {
    const whose = seen.get(`${addresses} ${sequence}`);
    assert.ok(whose === undefined || whose === who, `${addresses} was given to ${whose} and ${who} with the sequence ${sequence}`);
    seen.set(`${addresses} ${sequence}`, who);
  }
}

async function act(world: World, { who, at, does, name, host, wishes }: Step): Promise<StickyLease | undefined> {
  switch (does) {
    case "claim":
      return await world.claim(who, name, wishes ? [`10.60.0.${host}`] : [], at);
    case "release":
      return void (await world.release(who, name));
    case "block":
      return void (await world.allocate(who, "0.0.0.0/0", at));
    case "host":
      return void (await world.allocate(who, `10.60.0.${host}`, at));
    case "wait":
      return void (await world.clock.advance(4 * day));
  }
}

/** Names and what is given say the same, and nothing that is given meets anything else. */
async function mustBeWhole(world: World): Promise<void> {
  const given = await world.given();
  for (const [name, { addresses }] of await world.names())
    for (const address of addresses)
      assert.ok(given.includes(`${address}/${address.includes(":") ? 128 : 32} the sticky name ${name}`), `${address} of ${name}`);
  const words = given.map((one) => ({ prefix: parsePrefix(one.split(" ")[0] ?? ""), whose: one.slice(one.indexOf(" ") + 1) }));
  for (const [at, one] of words.entries())
    for (const other of words.slice(0, at))
      assert.ok(one.whose === other.whose || !rangesMeet(one.prefix, other.prefix), `${given[at]} meets ${other.whose}'s`);
  const named = words.filter(({ whose }) => whose.startsWith("the sticky name "));
  assert.equal(named.length, 2 * (await world.names()).size);
}

function mustBeExpected(error: unknown): undefined {
  if (!(error instanceof MeshError) || !["exists", "exhausted", "unreachable", "conflict", "moved", "invalid"].includes(error.code))
    throw error;
}
