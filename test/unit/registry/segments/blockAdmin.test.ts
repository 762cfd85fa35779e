import assert from "node:assert/strict";
import { Segment } from "../../../../api/gen/isthmus/v1/segment.js";
import { silent } from "../../../../core/log.js";
import { nodeLabels } from "../../../../core/segment/membership.js";
import { generateKey } from "../../../../identity/keys.js";
import { BlockAdmin } from "../../../../registry/segments/blockAdmin.js";
import { SegmentBlocks } from "../../../../registry/segments/blocks.js";
import { StickyNames } from "../../../../registry/segments/stickyNames.js";
import { writeSegment } from "../../../../registry/segments/writing.js";
import { MemoryAudit } from "../../../lib/mesh/audit.js";
import { by, openSite, refused, registryId, type Site, serving } from "../site.js";

const forever = new AbortController().signal;
const { publicKey } = generateKey();
const idOf = (node: string, program: string) => `spiffe://paris/node/${node}/${program}`;

describe("the address blocks of a segment, for the administrator", () => {
  let site: Site;
  let audit: MemoryAudit;
  let admin: BlockAdmin;
  beforeEach(async () => {
    site = await openSite();
    audit = new MemoryAudit(site.clock);
    admin = new BlockAdmin({ store: site.store, book: site.segments, ownEndpoints: site.endpoints, audit, log: silent });
    const siteBlocks = [{ site: "paris", prefixes: ["10.60.0.0/24"] }];
    const made = Segment.fromPartial({ name: "plant", layer: "l3", home: "paris", prefixes: ["10.60.0.0/22"], siteBlocks });
    const revision = await writeSegment("plant", { store: site.store, registryId }, () => made);
    await site.segments.settled(revision ?? 0, forever);
  });
  afterEach(() => site[Symbol.asyncDispose]());

  const parts = () => ({ store: site.store, site: "paris", registryId, clock: site.clock, log: silent });
  const allocate = async (node: string, prefix = "0.0.0.0/0", exclude: readonly string[] = []) => {
    const link = { peer: { id: idOf(node, "nsmgr"), publicKey }, self: registryId, tokens: () => assert.fail("nobody signs here") };
    return await new SegmentBlocks(parts()).allocate({ segment: "plant", prefix, exclude, holder: idOf(node, "forwarder") }, forever, link);
  };
  const register = async (node: string, ...blocks: readonly string[]) => {
    const [id, ends] = [idOf(node, "forwarder"), { publicKey: "k", at: "192.0.2.1:1", abroad: undefined, vni: 9_000_001, mtu: 0 }];
    const labels = nodeLabels({ segment: "plant", id, node, site: "paris", ...ends, blocks });
    await site.endpoints.register(serving(`plant.${node}`, "plant", labels), by(id));
  };
  const listed = async () =>
    (await admin.listBlocks({ segment: "plant" }, forever)).map(
      ({ prefix, node, registered }) => `${prefix} ${node.split("/")[4]}${registered ? "" : ", which is gone"}`,
    );
  const release = async (node: string, force = false) =>
    (await admin.releaseBlocks({ segment: "plant", node, force }, forever)).map(({ prefix }) => prefix);

  it("are shown with the nodes that have them and whether these are there, without those of sticky names", async () => {
    await register("paris-1", await allocate("paris-1"));
    await allocate("paris-2");
    await allocate("paris-2", "10.60.0.99");
    const holder = { site: "paris", nsmgr: idOf("paris-1", "nsmgr"), forwarder: idOf("paris-1", "forwarder"), connection: "c" };
    const segment = site.segments.get("plant") ?? assert.fail();
    await new StickyNames(parts()).claim({ segment: segment.name, name: "cam", wishes: [], holder }, forever);
    assert.deepEqual(await listed(), [
      "10.60.0.0/28 paris-1",
      "10.60.0.16/28 paris-2, which is gone",
      "10.60.0.99/32 paris-2, which is gone",
    ]);
  });

  it("of a node that is gone are taken back, by its name or an id, and can be another's", async () => {
    for (const [name, next] of [
      ["paris-2", "10.60.0.0/28"],
      [idOf("paris-3", "nsmgr"), "10.60.0.0/28"],
      [idOf("paris-4", "forwarder"), "10.60.0.0/28"],
    ] as const) {
      const node = name.split("/").at(4) ?? name;
      assert.equal(await allocate(node), next);
      await allocate(node, "10.60.0.99");
      assert.deepEqual((await release(name)).sort(), ["10.60.0.0/28", "10.60.0.99/32"]);
      assert.deepEqual(await listed(), []);
    }
    assert.deepEqual(
      audit.lines.map(({ on, sentence }) => `${on}: ${sentence.split(" from ")[0]}`),
      Array(3).fill("plant: took back 10.60.0.0/28, 10.60.0.99/32"),
    );
  });

  it("are left to a node that is there, unless by force, which it hears of", async () => {
    const block = await allocate("paris-1");
    await register("paris-1", block);
    const sentence =
      /^spiffe:\/\/paris\/node\/paris-1\/forwarder is registered, so paris-1 gives addresses of the segment plant to members; stop it first, or release/;
    await refused("conflict", () => release("paris-1"), sentence);
    assert.deepEqual(await listed(), ["10.60.0.0/28 paris-1"]);
    const { revision } = await site.store.list("");
    assert.deepEqual(await release("paris-1", true), [block]);
    // It says at once again what is gone of its words, and would be believed as long as the block is its own.
    const gone: string[] = [];
    for await (const { changes } of site.store.watch("", { after: revision, signal: AbortSignal.timeout(5_000) })) {
      gone.push(...changes.flatMap((change) => (change.type === "delete" ? change.key : [])));
      if (gone.length >= 2) break;
    }
    assert.match(gone.join(" then "), /^segment-block\/.* then endpoints\/plant\.paris-1$/);
    assert.equal(await site.store.get("endpoints/plant.paris-1"), undefined);
    await refused("moved", () => register("paris-1", block), /which was not given to it$/);
    // One that is there after all has them again, as long as nobody else has.
    assert.equal(await allocate("paris-1", block), block);
    await register("paris-1", block);
    assert.deepEqual(await listed(), ["10.60.0.0/28 paris-1"]);
  });

  it("are said to be nobody's of whom there is nothing", async () => {
    await refused("not-found", () => release("paris-9"), /^paris-9 has no address blocks of the segment plant; no node has any$/);
    await allocate("paris-1");
    const those = /^paris has no address blocks of the segment plant; these do: spiffe:\/\/paris\/node\/paris-1\/nsmgr$/;
    await refused("not-found", () => release("paris"), those);
    const none = /^there is no segment office; there are: plant$/;
    await refused("not-found", () => admin.listBlocks({ segment: "office" }, forever).then(() => {}), none);
  });
});
