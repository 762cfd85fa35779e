import assert from "node:assert/strict";
import { Segment } from "../../../../api/gen/isthmus/v1/segment.js";
import { silent } from "../../../../core/log.js";
import { memberLabels, membershipName, nodeLabels, type SegmentMember } from "../../../../core/segment/membership.js";
import { openLmdbStore } from "../../../../registry/lmdb.js";
import { SegmentsAdmin } from "../../../../registry/segments/admin.js";
import { mustSayItself } from "../../../../registry/segments/registrant.js";
import { saying } from "../../../../registry/segments/stickyWords.js";
import { throwsWith } from "../../../lib/chainKit.js";
import { FakeClock } from "../../../lib/fakeClock.js";
import { newFolder } from "../../../lib/folder.js";
import { MemoryAudit } from "../../../lib/mesh/audit.js";
import { by, names, openSite, refused, registryId, type Site, service, serving } from "../site.js";

const forever = new AbortController().signal;
const forwarder = "spiffe://paris/node/paris-1/forwarder";
const plant = (more: Partial<Segment> = {}) =>
  Segment.fromPartial({ name: "plant", layer: "l3", prefixes: ["10.60.0.0/16", "fd60::/48"], ...more });
const member = (name: string): SegmentMember => ({
  name,
  mac: "02:00:00:00:00:01",
  addresses: [],
  announces: [],
  services: [],
  sequence: 1,
});

describe("the segments of a site", () => {
  let site: Site;
  let segments: SegmentsAdmin;
  let audit: MemoryAudit;
  let joined: string[];
  const open = () => {
    const { store, clock, endpoints, segments: book } = site;
    audit = new MemoryAudit(clock);
    segments = new SegmentsAdmin({
      ...{ store, clock, endpoints, book, audit, registryId, site: "paris", joined: () => joined, log: silent },
    });
  };
  beforeEach(async () => {
    joined = ["tokyo", "lima"];
    site = await openSite();
    open();
  });
  afterEach(() => site[Symbol.asyncDispose]());

  const apply = (more: Partial<Segment> = {}) => segments.apply(plant(more), forever);
  const listed = async () => (await segments.list()).map(({ name, version }) => `${name} ${version}`);
  const served = () => names(site.services.find(service(""), { watch: false }, by("spiffe://paris/a")));
  /** Registers some members of a node, and waits until they are known. */
  const join = (...members: readonly string[]) => {
    const labels = memberLabels(forwarder, members.map(member));
    return site.endpoints.register(serving(membershipName("plant", "forwarder-1", 0), "plant", labels), by(forwarder));
  };

  it("are made with what each of their sites may give out, and with the network service by which pods join", async () => {
    const made = await apply({ sites: ["tokyo", "paris"], mtu: 1400, version: 99, home: "lima", createdMs: 5 });
    assert.deepEqual([made.home, made.version, made.createdMs], ["paris", 1, site.clock.now()]);
    assert.deepEqual(
      made.siteBlocks.map(({ site: whose, prefixes }) => `${whose} ${prefixes.join(" ")}`),
      ["tokyo 10.60.0.0/18 fd60::/50", "paris 10.60.64.0/18 fd60:0:0:4000::/50"],
    );
    await segments.apply(plant({ name: "office", layer: "l2", prefixes: [] }), forever);
    assert.deepEqual(await listed(), ["office 1", "plant 1"]);
    const found: string[] = [];
    for await (const { value } of site.services.find(service(""), { watch: false }, by("spiffe://paris/a")))
      found.push(`${value.name} ${value.payload} ${value.pathIds.join()}`);
    assert.deepEqual(found.sort(), [`office ETHERNET ${registryId}`, `plant IP ${registryId}`]);
  });

  it("are changed, and the same again is no change", async () => {
    const made = await apply();
    await site.clock.advance(1_000);
    assert.equal((await apply()).version, 1);
    const changed = await apply({
      prefixes: ["fd60:0::/48", "10.60.0.0/16"],
      sites: ["paris", "lima"],
      mtu: 1300,
      dnsDomain: "plant.mesh",
      allowLabels: { app: "plc" },
      exclude: ["10.60.0.1"],
    });
    assert.deepEqual([changed.version, changed.mtu, changed.createdMs], [2, 1300, made.createdMs]);
    assert.deepEqual(changed.siteBlocks[0]?.prefixes, made.siteBlocks[0]?.prefixes);
    assert.equal(changed.siteBlocks[1]?.site, "lima");
    assert.deepEqual(
      audit.lines.map(({ who, on, sentence }) => `${who} ${on}: ${sentence}`),
      [
        "the administrator plant: applied version 1 of the l3 segment with 10.60.0.0/16 and fd60::/48",
        "the administrator plant: applied version 2 of the l3 segment with 10.60.0.0/16 and fd60::/48",
      ],
    );
  });

  it("that two change at once have what both said, one after the other", async () => {
    await apply();
    const both = await Promise.all([apply({ mtu: 1300 }), apply({ mtu: 1400 })]);
    assert.deepEqual(both.map(({ version }) => version).sort(), [2, 3]);
    const [left] = await segments.list();
    assert.equal(left?.mtu, both.find(({ version }) => version === 3)?.mtu);
  });

  it("stay what they are: for another layer or other prefixes they are deleted first", async () => {
    await apply();
    const layer =
      /^the layer of the segment plant cannot be changed: l3 there, l2 here; delete the segment first, or give this one another name$/;
    await refused("conflict", () => apply({ layer: "l2" }), layer);
    const prefixes = /^the prefixes of the segment plant cannot be changed: 10\.60\.0\.0\/16 and fd60::\/48 there, 10\.61\.0\.0\/16 here;/;
    await refused("conflict", () => apply({ prefixes: ["10.61.0.0/16"] }), prefixes);
    assert.deepEqual(await listed(), ["plant 1"]);
  });

  it("do not take what is no segment", async () => {
    await refused("invalid", () => apply({ mtu: 12 }), /^the MTU of the segment plant must be/);
    await refused("invalid", () => apply({ sites: ["tokyo"] }), /must include paris, where it is made, got tokyo$/);
  });

  it("take part only in sites that are joined", async () => {
    const sentence =
      /^the segment plant names oslo, which paris is not joined with; those that it is joined with: tokyo, lima; join it first/;
    await refused("invalid", () => apply({ sites: ["paris", "oslo"] }), sentence);
    joined = [];
    await refused("invalid", () => apply({ sites: ["paris", "oslo"] }), /which paris is not joined with; it is joined with none;/);
  });

  it("do not take the name of a network service, nor of what somebody serves", async () => {
    await site.services.register(service("plant"), by("spiffe://paris/a"));
    await refused("exists", () => apply(), /^plant is a network service already, of spiffe:\/\/paris\/a; give the segment another name$/);
    await site.endpoints.register(serving("e-1", "office"), by("spiffe://paris/a"));
    const office = plant({ name: "office" });
    await refused(
      "exists",
      () => segments.apply(office, forever),
      /^the endpoint e-1 serves office already; give the segment another name$/,
    );
    assert.deepEqual([await listed(), await served()], [[], ["plant"]]);
  });

  it("are deleted with their network service when they have no members", async () => {
    await apply();
    await segments.delete({ name: "plant", force: false }, forever);
    assert.deepEqual([await listed(), await served()], [[], []]);
    await refused(
      "not-found",
      () => segments.delete({ name: "plant", force: false }, forever),
      /^there is no segment plant; there is none$/,
    );
    // What its registry said of its names may still be known for a moment.
    const left = saying("office", "cam", { addresses: [], sequence: 1, sinceMs: 0, claims: [], takenFrom: [] }, registryId);
    await site.store.commit({ writes: [left] });
    // By when that is seen.
    await site.endpoints.register(serving("e-1", "db"), by("spiffe://paris/a"));
    await segments.apply(plant({ name: "office" }), forever);
    await refused(
      "not-found",
      () => segments.delete({ name: "plant", force: true }, forever),
      /^there is no segment plant; there are: office$/,
    );
  });

  it("are not deleted while they have members, unless by force", async () => {
    await apply();
    await join("web");
    const one = /^the segment plant has 1 member: web; let them leave, or delete it with --force, which cuts them off$/;
    await refused("conflict", () => segments.delete({ name: "plant", force: false }, forever), one);
    await join("web", "db", "camera", "plc-1", "plc-2", "plc-3", "plc-4");
    const many = /^the segment plant has 7 members: camera, db, plc-1, plc-2, plc-3, and 2 more; let them leave/;
    await refused("conflict", () => segments.delete({ name: "plant", force: false }, forever), many);
    await segments.delete({ name: "plant", force: true }, forever);
    assert.deepEqual([await listed(), await served()], [[], []]);
    assert.equal(audit.lines.at(-1)?.sentence, "deleted the segment by force, with 7 members");
  });

  it("are there again after a restart, and their name stays theirs", async () => {
    const folder = newFolder();
    const clock = new FakeClock();
    const openStore = () => openLmdbStore(folder.path, { clock, log: silent });
    await site[Symbol.asyncDispose]();
    site = await openSite({ clock, store: openStore() });
    open();
    const made = await apply({ allowLabels: { app: "plc" } });
    await site[Symbol.asyncDispose]();
    site = await openSite({ clock, store: openStore() });
    open();
    assert.deepEqual(
      (await segments.list()).map((one) => Segment.toJSON(one)),
      [Segment.toJSON(made)],
    );
    await refused(
      "denied",
      () => site.services.unregister(service("plant"), by("spiffe://paris/a")),
      /belongs to spiffe:\/\/paris\/node-1\/registry/,
    );
    await site[Symbol.asyncDispose]();
    folder[Symbol.dispose]();
    site = await openSite();
  });
});

describe("an endpoint of a segment", () => {
  let site: Site;
  beforeEach(async () => {
    site = await openSite();
    const { store, clock, endpoints, segments: book } = site;
    const parts = {
      store,
      clock,
      endpoints,
      book,
      audit: new MemoryAudit(clock),
      registryId,
      site: "paris",
      joined: () => [],
      log: silent,
    };
    await new SegmentsAdmin(parts).apply(plant(), forever);
  });
  afterEach(() => site[Symbol.asyncDispose]());
  const register = (labels: Record<string, string>, more: Partial<Parameters<Site["endpoints"]["register"]>[0]> = {}) =>
    site.endpoints.register({ ...serving("plant.forwarder-1", "plant", labels), ...more }, by(forwarder));

  it("speaks for who registers it", async () => {
    assert.equal((await register({ id: forwarder, key: "k" })).name, "plant.forwarder-1");
  });

  it("speaks for nobody else, and not for nobody", async () => {
    const other = "spiffe://paris/node/paris-2/forwarder";
    const sentence = `plant is a segment, so its endpoint plant\\.forwarder-1 must have the label id with the SPIFFE id of who registers it; ${forwarder} says`;
    await refused("denied", () => register({ id: other, key: "k" }), new RegExp(`^${sentence} ${other}$`));
    const none =
      /^plant is a segment, which pods join with `nsmctl request-connection plant`; plant\.forwarder-1 is to serve under another name$/;
    await refused("denied", () => register({ key: "k" }), none);
    const also = { networkServiceNames: ["web", "plant"], networkServiceLabels: { web: { labels: { id: forwarder } } } };
    await refused("denied", () => register({}, also), none);
  });

  it("says that its node has the blocks that were given to it, and no others", async () => {
    const ends = { publicKey: "k", at: "192.0.2.1:1", abroad: undefined, vni: 9_000_001, mtu: 0 };
    const say = (...blocks: readonly string[]) =>
      register(nodeLabels({ segment: "plant", id: forwarder, node: "paris-1", site: "paris", ...ends, blocks }));
    const give = (block: string, holder: string) => {
      const value = Buffer.from(JSON.stringify({ owner: "spiffe://paris/node/paris-1/nsmgr", holder, sinceMs: 0 }));
      return site.store.commit({ writes: [{ op: "put", key: `segment-block/plant/${block}`, value }] });
    };
    await give("10.60.0.0/24", forwarder);
    await give("10.60.1.0/24", "spiffe://paris/node/paris-2/forwarder");
    assert.equal((await say("10.60.0.0/24")).name, "plant.forwarder-1");
    for (const wrong of ["10.60.1.0/24", "10.60.2.0/24", "10.60.0.0/16", "10.60.1.7/32"])
      await refused(
        "moved",
        () => say("10.60.0.0/24", wrong),
        new RegExp(`paris-1/forwarder has ${wrong} of the segment plant, which was not given to it`),
      );
    await give("10.60.2.0/24", forwarder);
    await say("10.60.0.0/24", "10.60.2.0/24");
  });

  it("is refused where who registers it has not proven who it is", () => {
    const endpoint = serving("plant.forwarder-1", "plant", { id: forwarder });
    const check = (proven: boolean) => mustSayItself(endpoint, { ids: [forwarder], proven }, (one) => one === "plant");
    throwsWith("denied", `${forwarder}, which has not proven it, says ${forwarder}`, () => check(false));
    assert.doesNotThrow(() => check(true));
  });

  it("of another service may say what it likes", async () => {
    const web = { networkServiceNames: ["web"], networkServiceLabels: { web: { labels: { id: "anybody" } } } };
    assert.equal((await register({}, web)).name, "plant.forwarder-1");
  });
});
