import assert from "node:assert/strict";
import { once } from "node:events";
import { CountedNode, MemberRule, Segment } from "../../api/gen/isthmus/v1/segment.js";
import { MeshError } from "../../core/error.js";
import type { BlocksApi } from "../../rpc/blocks.js";
import type { SegmentsApi } from "../../rpc/segmentApi.js";
import type { StickyApi } from "../../rpc/sticky.js";
import { clientId, forever, type TransportWorld } from "./transport.js";

const plant = Segment.fromPartial({ name: "plant", layer: "l3", prefixes: ["10.60.0.0/16", "fd60::/48"], allowLabels: { app: "plc" } });

/** Blocks that remember what was asked of them, and of whom. */
function recording(): BlocksApi & { readonly asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    async allocate({ segment, prefix, exclude, holder }, _, link) {
      asked.push(`allocate ${prefix} of ${segment} but ${exclude.join()} for ${holder} by ${link?.peer.id}`);
      return "10.60.4.0/24";
    },
    async release({ segment, prefix, holder }, _, link) {
      if (prefix === "10.60.9.0/24") throw new MeshError("denied", `${prefix} of ${segment} is another's`);
      asked.push(`release ${prefix} of ${segment} for ${holder} by ${link?.peer.id}`);
    },
  };
}

export function segmentCases(world: () => TransportWorld): void {
  it("offers segments to the administrator", async () => {
    const asked: string[] = [];
    const segments: SegmentsApi = {
      apply: async (segment) => ({ ...segment, home: "paris", siteBlocks: [{ site: "paris", prefixes: ["10.60.0.0/18"] }], version: 3 }),
      list: async () => [plant, { ...plant, name: "office" }],
      delete: async ({ name, force }) => void asked.push(`delete ${name} ${force}`),
      listBlocks: async ({ segment }) => [
        { prefix: "10.60.0.0/24", node: "n", holder: segment, registered: true, sinceMs: 1_700_000_000_000 },
      ],
      releaseBlocks: async ({ segment, node, force }) => {
        asked.push(`release ${segment} ${node} ${force}`);
        return [];
      },
    };
    const { url } = await world().listen({ segments });
    const client = world().peers.segments(url);
    const { home, siteBlocks, version, ...rest } = await client.apply(plant, forever);
    assert.deepEqual([home, siteBlocks[0]?.prefixes, version], ["paris", ["10.60.0.0/18"], 3]);
    assert.deepEqual([rest.name, rest.prefixes, rest.allowLabels], ["plant", plant.prefixes, { app: "plc" }]);
    assert.deepEqual(
      (await client.list(forever)).map(({ name }) => name),
      ["plant", "office"],
    );
    await client.delete({ name: "plant", force: true }, forever);
    const [block] = await client.listBlocks({ segment: "plant" }, forever);
    assert.deepEqual([block?.prefix, block?.holder, block?.registered, block?.sinceMs], ["10.60.0.0/24", "plant", true, 1_700_000_000_000]);
    assert.deepEqual(await client.releaseBlocks({ segment: "plant", node: "paris-2", force: false }, forever), []);
    assert.deepEqual(asked, ["delete plant true", "release plant paris-2 false"]);
  });

  const bad: [string, Segment, RegExp][] = [
    ["a name that is too long", { ...plant, name: "x".repeat(257) }, /the segment's name is 257 characters long; at most 256/],
    ["too many prefixes", { ...plant, prefixes: Array(17).fill("10.0.0.0/8") }, /the segment's prefixes has 17 entries; at most 16/],
    [
      "too many rules",
      { ...plant, policy: Array(257).fill(MemberRule.fromPartial({})) },
      /the segment's policy has 257 entries; at most 256/,
    ],
    [
      "a rule of too many ports",
      { ...plant, policy: [MemberRule.fromPartial({ ports: Array(65).fill("1/tcp") })] },
      /the ports of a rule of the segment's policy has 65 entries; at most 64/,
    ],
    ["a time that is none", { ...plant, createdMs: Number.NaN }, /must be milliseconds since 1970, got NaN/],
  ];
  for (const [what, segment, message] of bad)
    it(`refuses a segment with ${what} at its edge`, async () => {
      const unasked = () => assert.fail("it was asked");
      const { url } = await world().listen({
        segments: { apply: unasked, list: unasked, delete: unasked, listBlocks: unasked, releaseBlocks: unasked },
      });
      await assert.rejects(world().peers.segments(url).apply(segment, forever), { code: "invalid", message });
    });

  it("tells a node's program the segments, and who asks", async () => {
    let asking: string | undefined;
    const { url } = await world().listen({
      segmentFeed: {
        async *watch(_, link) {
          asking = link?.peer.id;
          yield { segments: [], history: "h", revision: 1 };
          yield { segments: [plant], history: "h", revision: 2 };
        },
      },
    });
    const told: string[] = [];
    for await (const { segments, history, revision } of world().peers.segmentFeed(url).watch(forever))
      told.push(`${segments.map(({ name }) => name).join()} ${history} ${revision}`);
    assert.deepEqual([told, asking], [[" h 1", "plant h 2"], world().secured ? clientId : undefined]);
  });

  it("tells another site's registry the segments that it takes part in", async () => {
    if (!world().secured) return;
    const unasked = () => assert.fail("it was asked");
    const { url } = await world().listen({
      federation: {
        join: unasked,
        follow: unasked,
        async *segments({ id }) {
          yield { segments: [{ ...plant, home: id }], history: "h", revision: 1 };
        },
      },
    });
    const homes: unknown[] = [];
    for await (const {
      segments: [segment],
    } of world().peers.segmentsOfSite(url, forever))
      homes.push(segment?.home);
    assert.deepEqual(homes, [clientId]);
  });

  it("tells a node's nsmgr what was counted in a segment, and who asks", async () => {
    const asked: string[] = [];
    const traffic = { receivedPackets: 1, receivedBytes: 2 ** 40, sentPackets: 3, sentBytes: 4 };
    const { url } = await world().listen({
      segmentCounters: {
        async read(segment, _, link) {
          asked.push(`${segment} by ${link?.peer.id}`);
          return CountedNode.fromPartial({ node: "node-1", others: traffic, members: [{ name: "cam", traffic, spoofed: 5, flooded: 6 }] });
        },
      },
    });
    const client = world().peers.segmentCounters(url);
    const { node, others, members } = await client.read("plant", forever);
    assert.deepEqual(
      [node, others?.receivedBytes, members[0]?.name, members[0]?.spoofed, members[0]?.flooded],
      ["node-1", 2 ** 40, "cam", 5, 6],
    );
    await assert.rejects(client.read("x".repeat(257), forever), { code: "invalid", message: /^the segment's name is 257 characters long/ });
    assert.deepEqual(asked, [`plant by ${world().secured ? clientId : undefined}`]);
  });

  it("gives address blocks and takes them back, in the name of whoever asks", async () => {
    const blocks = recording();
    const { url } = await world().listen({ blocks });
    const client = world().peers.blocks(url);
    const given = await client.allocate({ segment: "plant", prefix: "0.0.0.0/0", exclude: ["10.60.1.0/24", "10.60.2.0/24"] }, forever);
    assert.equal(given, "10.60.4.0/24");
    await client.release({ segment: "plant", prefix: given, holder: "spiffe://test/forwarder" }, forever);
    await assert.rejects(client.release({ segment: "plant", prefix: "10.60.9.0/24" }, forever), {
      code: "denied",
      message: "10.60.9.0/24 of plant is another's",
    });
    const by = world().secured ? clientId : undefined;
    assert.deepEqual(blocks.asked, [
      `allocate 0.0.0.0/0 of plant but 10.60.1.0/24,10.60.2.0/24 for undefined by ${by}`,
      `release 10.60.4.0/24 of plant for spiffe://test/forwarder by ${by}`,
    ]);
  });

  it("refuses a block of no segment, and one that says too much", async () => {
    const { url } = await world().listen({ blocks: recording() });
    const client = world().peers.blocks(url);
    await assert.rejects(client.allocate({ segment: "", prefix: "::/0", exclude: [] }, forever), {
      code: "invalid",
      message: /^address blocks are of a segment, and this call names none: name it in the metadata isthmus-segment \(/,
    });
    await assert.rejects(client.allocate({ segment: "plant", prefix: "1".repeat(129), exclude: [] }, forever), {
      code: "invalid",
      message: "the prefix is 129 characters long; at most 128 are allowed",
    });
  });

  it("gives sticky names and takes them back, in the name of whoever asks", async () => {
    const asked: string[] = [];
    const sticky: StickyApi = {
      async claim({ segment, name, wishes, connection, forwarder, nsmgr }, _, link) {
        if (name === "lost") throw new MeshError("moved", "it was taken over");
        asked.push(`claim ${name} of ${segment} with ${wishes.join()} for ${connection} of ${forwarder} and ${nsmgr} by ${link?.peer.id}`);
        return { addresses: ["10.60.4.1", "fd60::1"], sequence: 4_294_967_295 };
      },
      async release({ segment, name, connection, forwarder }, _, link) {
        asked.push(`release ${name} of ${segment} for ${connection} of ${forwarder} by ${link?.peer.id}`);
      },
    };
    const { url } = await world().listen({ sticky });
    const client = world().peers.sticky(url);
    const cam = { segment: "plant", name: "cam", connection: "c-1" };
    const { addresses, sequence } = await client.claim({ ...cam, wishes: ["10.60.4.1"] }, forever);
    assert.deepEqual([addresses, sequence], [["10.60.4.1", "fd60::1"], 4_294_967_295]);
    await client.claim({ ...cam, wishes: [], forwarder: "spiffe://test/forwarder", nsmgr: "spiffe://test/nsmgr" }, forever);
    await client.release(cam, forever);
    await assert.rejects(client.claim({ ...cam, name: "lost", wishes: [] }, forever), { code: "moved", message: "it was taken over" });
    const by = world().secured ? clientId : undefined;
    assert.deepEqual(asked, [
      `claim cam of plant with 10.60.4.1 for c-1 of undefined and undefined by ${by}`,
      `claim cam of plant with  for c-1 of spiffe://test/forwarder and spiffe://test/nsmgr by ${by}`,
      `release cam of plant for c-1 of undefined by ${by}`,
    ]);
  });

  it("refuses a sticky name that says too much", async () => {
    const unasked = () => assert.fail("it was asked");
    const { url } = await world().listen({ sticky: { claim: unasked, release: unasked } });
    const cam = { segment: "plant", name: "cam", connection: "c-1", wishes: [] };
    const client = world().peers.sticky(url);
    const tooMuch: [Partial<Parameters<StickyApi["claim"]>[0]>, RegExp][] = [
      [{ name: "x".repeat(257) }, /^the sticky name is 257 characters long; at most 256/],
      [{ segment: "a\n" }, /has a control character$/],
      [{ wishes: Array(17).fill("10.60.0.1") }, /^the addresses of the sticky name has 17 entries; at most 16/],
      [{ connection: "x".repeat(257) }, /^the connection of the sticky name is 257 characters long/],
      [{ forwarder: "x".repeat(2049) }, /^the forwarder of the sticky name is 2049 characters long/],
    ];
    for (const [more, message] of tooMuch) await assert.rejects(client.claim({ ...cam, ...more }, forever), { code: "invalid", message });
    await assert.rejects(client.release({ ...cam, name: "x".repeat(257) }, forever), { code: "invalid" });
  });

  it("tells who gives a block when the caller gives up", async () => {
    let begin = () => {};
    const begun = new Promise<void>((resolve) => {
      begin = resolve;
    });
    let end: (code: unknown) => void = () => {};
    const over = new Promise<unknown>((resolve) => {
      end = resolve;
    });
    const blocks: BlocksApi = {
      async allocate(_, signal) {
        begin();
        if (!signal.aborted) await once(signal, "abort");
        end("ended");
        throw signal.reason;
      },
      release: async () => {},
    };
    const { url } = await world().listen({ blocks });
    const caller = new AbortController();
    const asked = world().peers.blocks(url).allocate({ segment: "plant", prefix: "::/0", exclude: [] }, caller.signal);
    const refused = assert.rejects(asked, { code: "cancelled" });
    await begun;
    caller.abort();
    await refused;
    assert.equal(await over, "ended");
  });
}
