import assert from "node:assert/strict";
import { Segment } from "../../../../api/gen/isthmus/v1/segment.js";
import { NetworkServiceEndpoint } from "../../../../api/gen/registry/registry.js";
import { rangesMeet } from "../../../../core/ipam/address.js";
import { parsePrefix } from "../../../../core/ipam/prefix.js";
import { silent } from "../../../../core/log.js";
import { memberLabels, membershipName } from "../../../../core/segment/membership.js";
import { SegmentsAdmin } from "../../../../registry/segments/admin.js";
import { SegmentBlocks } from "../../../../registry/segments/blocks.js";
import { refused } from "../site.js";
import { forever, namesIn, Sites, type TestSite } from "./world.js";

const plant = (more: Partial<Segment> = {}) =>
  Segment.fromPartial({ name: "plant", layer: "l3", prefixes: ["10.60.0.0/22"], sites: ["paris", "tokyo"], ...more });

describe("a segment of several sites", () => {
  let sites: Sites;
  let [paris, tokyo, lima]: TestSite[] = [];
  const site = (one: TestSite | undefined) => one ?? assert.fail();
  beforeEach(async () => {
    sites = await Sites.open("paris", "tokyo", "lima");
    [paris, tokyo, lima] = sites.all;
    await sites.joinAll();
  });
  afterEach(() => sites[Symbol.asyncDispose]());

  const adminOf = (of: TestSite) =>
    new SegmentsAdmin({
      ...{ store: of.store, registryId: of.registryId, site: of.name, book: of.segments, endpoints: of.federated.endpoints },
      ...{ joined: () => of.federated.federation.sites.list().map(({ name }) => name), audit: of.audit, clock: sites.clock, log: silent },
    });
  const apply = (of: TestSite, more: Partial<Segment> = {}) => sites.while(adminOf(of).apply(plant(more), forever));
  const remove = (of: TestSite, name = "plant") => sites.while(adminOf(of).delete({ name, force: false }, forever));
  const listed = (of: TestSite) => of.segments.current.map(({ name, home, version }) => `${name} ${home} ${version}`);
  const until = (what: string, of: TestSite, ...expected: readonly string[]) =>
    sites.until(what, 5_000, () => listed(of).join() === expected.join());
  const allocate = async (of: TestSite, node: string, exclude: readonly string[] = []) => {
    const blocks = new SegmentBlocks({ store: of.store, site: of.name, clock: sites.clock, log: silent });
    const { source } = await of.identityOf(node);
    const peer = { id: `spiffe://${of.trustDomain}/${node}`, publicKey: source.current.chain[0]?.publicKey ?? assert.fail() };
    const link = { peer, self: of.registryId, tokens: of.identity.tokens };
    return await blocks.allocate({ segment: "plant", prefix: "0.0.0.0/0", exclude }, forever, link);
  };

  /** While paris does not see what is in tokyo. */
  const unseen = async (task: () => Promise<unknown>) => {
    site(tokyo).cut();
    await sites.until("tokyo is away", 10_000, () => site(paris).states().includes("tokyo away"));
    await sites.clock.advance(120_000);
    await task();
    site(tokyo).answer();
  };

  it("appears in those that it names, with its network service, and changes there as it does at home", async () => {
    await apply(site(paris));
    await until("it is in tokyo", site(tokyo), "plant paris 1");
    assert.deepEqual(await site(tokyo).services("plant"), ["plant"]);
    assert.deepEqual(listed(site(lima)), []);
    await apply(site(paris), { mtu: 1300, sites: ["paris", "tokyo", "lima"] });
    await until("it has changed in tokyo", site(tokyo), "plant paris 2");
    await until("it is in lima", site(lima), "plant paris 2");
    assert.equal(site(tokyo).segments.get("plant")?.mtu, 1300);
  });

  it("is no business of who is not the registry of a site", async () => {
    const identity = await site(tokyo).identityOf("node/tokyo-1/nsmgr");
    await using peers = sites.network.peers({ identity, clock: sites.clock });
    const read = async () => {
      for await (const _ of peers.segmentsOfSite(site(paris).url, forever)) assert.fail("it was told");
    };
    await refused("denied", read, /of that only its registry, spiffe:\/\/tokyo\.test\/registry, may ask for this$/);
  });

  it("survives a partition, in which no address comes into two nodes' blocks", async () => {
    await apply(site(paris));
    await until("it is in tokyo", site(tokyo), "plant paris 1");
    site(paris).cut();
    site(tokyo).cut();
    await sites.until(
      "each is alone",
      10_000,
      () => site(tokyo).states().includes("paris away") && site(paris).states().includes("tokyo away"),
    );
    await sites.clock.advance(120_000);
    assert.deepEqual(listed(site(tokyo)), ["plant paris 1"]);
    const given: string[] = [];
    for (const of of [site(paris), site(tokyo)])
      for (let node = 1; node <= 4; node++) {
        const first = await allocate(of, `node/${of.name}-${node}/nsmgr`);
        given.push(first, await allocate(of, `node/${of.name}-${node}/nsmgr`, [first]));
      }
    const prefixes = given.map(parsePrefix);
    for (const [at, one] of prefixes.entries()) assert.ok(prefixes.slice(0, at).every((other) => !rangesMeet(one, other)));
    site(paris).answer();
    site(tokyo).answer();
    await sites.until("they have found each other", 5_000, () => site(tokyo).states().includes("paris up"));
    await apply(site(paris), { mtu: 1300 });
    await until("it changes in tokyo", site(tokyo), "plant paris 2");
    // What was given stays given.
    const more = await allocate(site(tokyo), "node/tokyo-9/nsmgr");
    assert.ok(prefixes.every((other) => !rangesMeet(parsePrefix(more), other)));
  });

  it("is deleted with its home, with what nodes had of it", async () => {
    await apply(site(paris));
    await until("it is in tokyo", site(tokyo), "plant paris 1");
    await allocate(site(tokyo), "node/tokyo-1/nsmgr");
    await remove(site(paris));
    await until("it is gone in tokyo", site(tokyo));
    await sites.until("its blocks are gone", 1_000, async () => (await site(tokyo).store.list("segment-block/")).entries.length === 0);
    assert.deepEqual(await site(tokyo).services("plant"), []);
  });

  it("is gone in a site that takes no part any more, and where its home was left", async () => {
    await apply(site(paris), { sites: ["paris", "tokyo", "lima"] });
    await until("it is in lima", site(lima), "plant paris 1");
    await apply(site(paris), { sites: ["paris", "lima"] });
    await until("it is gone in tokyo", site(tokyo));
    await until("it has changed in lima", site(lima), "plant paris 2");
    site(paris).cut();
    await site(lima).leave("paris");
    await until("it is gone in lima", site(lima));
  });

  it("is gone after a restart in a site that left its home while its registry was not there to see it", async () => {
    await apply(site(paris));
    await until("it is in tokyo", site(tokyo), "plant paris 1");
    await site(tokyo).stop();
    for (const key of ["sites/paris", "policy/peers/paris"]) await site(tokyo).store.commit({ writes: [{ op: "delete", key }] });
    await site(tokyo).start();
    await until("it is gone", site(tokyo));
  });

  it("that was made anew while a site was away gives that site nothing of the one before", async () => {
    await apply(site(paris));
    await until("it is in tokyo", site(tokyo), "plant paris 1");
    assert.equal(await allocate(site(tokyo), "node/tokyo-1/nsmgr"), "10.60.1.0/28");
    site(paris).cut();
    await sites.until("paris is away", 10_000, () => site(tokyo).states().includes("paris away"));
    await sites.clock.advance(1_000);
    await remove(site(paris));
    await apply(site(paris), { sites: ["tokyo", "paris"] });
    site(paris).answer();
    await sites.until("tokyo has the new one", 5_000, () => site(tokyo).segments.get("plant")?.siteBlocks[0]?.site === "tokyo");
    assert.equal(await allocate(site(tokyo), "node/tokyo-2/nsmgr"), "10.60.0.0/28");
    assert.equal((await site(tokyo).store.list("segment-block/plant/")).entries.length, 1);
  });

  it("is not deleted while it has members in another site, unless by force", async () => {
    await apply(site(paris));
    await until("it is in tokyo", site(tokyo), "plant paris 1");
    const id = "spiffe://tokyo.test/node/tokyo-1/forwarder";
    const camera = { name: "camera", mac: "02:00:00:00:00:01", addresses: ["10.60.1.1"], announces: [], services: [], sequence: 1 };
    await site(tokyo).serveLabelled(membershipName("plant", "forwarder-1", 0), "plant", memberLabels(id, [camera]), id);
    await sites.until("paris sees it", 2_000, async () => (await site(paris).find("plant")).length === 1);
    await refused("conflict", () => remove(site(paris)), /^the segment plant has 1 member: camera in tokyo; let them leave/);
    await sites.while(adminOf(site(paris)).delete({ name: "plant", force: true }, forever));
    await until("it is gone in tokyo", site(tokyo));
  });

  it("is changed and deleted at home only", async () => {
    await apply(site(paris));
    await until("it is in tokyo", site(tokyo), "plant paris 1");
    const sentence = /^the segment plant was made in paris, and what is here is a copy; change or delete it in paris$/;
    await refused("conflict", () => apply(site(tokyo), { mtu: 1300 }), sentence);
    await refused("conflict", () => remove(site(tokyo)), sentence);
  });

  it("does not take the place of what a site has under its name", async () => {
    await apply(site(tokyo), { sites: [] });
    await site(lima).serve("e-1", "plant");
    await apply(site(paris), { name: "office", prefixes: ["10.61.0.0/16"], sites: ["paris", "tokyo", "lima"] });
    await until("tokyo has heard of paris", site(tokyo), "office paris 1", "plant tokyo 1");
    const served = /^the endpoint (e-1@lima serves plant already; give the segment another name)$/;
    await refused("exists", () => apply(site(paris), { sites: ["paris", "tokyo", "lima"] }), served);
    // Alone, paris cannot see that.
    site(lima).cut();
    site(tokyo).cut();
    await sites.until("paris is alone", 10_000, () =>
      site(paris)
        .states()
        .every((state) => state.endsWith("away")),
    );
    await sites.clock.advance(120_000);
    await apply(site(paris), { sites: ["paris", "tokyo", "lima"] });
    await apply(site(paris), { name: "office", prefixes: ["10.61.0.0/16"], sites: ["paris", "tokyo", "lima"], mtu: 1300 });
    site(lima).answer();
    site(tokyo).answer();
    await until("both have heard", site(tokyo), "office paris 2", "plant tokyo 1");
    await until("both have heard", site(lima), "office paris 2");
  });

  it("has nobody in it who said to be one of its nodes before anybody asked who that is", async () => {
    const victim = "spiffe://tokyo.test/node/tokyo-1/forwarder";
    const endpoint = { name: "plant.forwarder-1", networkServiceNames: ["plant"], url: "tcp://tokyo:5001" };
    const labels = { plant: { labels: memberLabels(victim, []) } };
    const { endpoints } = site(tokyo).federated;
    await endpoints.register(NetworkServiceEndpoint.fromPartial({ ...endpoint, networkServiceLabels: labels }), { signal: forever });
    await unseen(() => apply(site(paris)));
    await until("it is in tokyo", site(tokyo), "plant paris 1");
    await sites.until("nobody is in it", 1_000, async () => (await site(tokyo).find("plant")).length === 0);
  });

  it("does not draw the clients of an endpoint whose service was never registered", async () => {
    const endpoint = NetworkServiceEndpoint.fromPartial({ name: "db-1", networkServiceNames: ["plant"], url: "tcp://tokyo:5001" });
    await site(tokyo).federated.endpoints.register(endpoint, { signal: forever });
    await unseen(async () => {
      await apply(site(paris));
      await apply(site(paris), { name: "office", prefixes: ["10.61.0.0/16"] });
    });
    await until("tokyo has heard of paris", site(tokyo), "office paris 1");
    assert.deepEqual(await site(tokyo).find("plant"), ["db-1"]);
  });

  it("is one of so many of its home as a site takes, which are those that it has, as long as they are", async () => {
    await site(tokyo).stop();
    site(tokyo).segmentsPerSite = 2;
    await site(tokyo).start();
    await sites.until("they have found each other", 10_000, () => site(tokyo).states().includes("paris up"));
    for (const [at, name] of ["b", "c", "a", "d"].entries()) await apply(site(paris), { name, prefixes: [`10.6${at}.0.0/16`] });
    await apply(site(lima), { name: "e", prefixes: ["10.70.0.0/16"], sites: ["lima", "tokyo"] });
    await until("the first are there", site(tokyo), "b paris 1", "c paris 1", "e lima 1");
    const counts = () =>
      [...site(tokyo).federated.copies.counts].map(([home, { copied, leftOut }]) => `${home} ${copied} ${leftOut}`).sort();
    await sites.until("it is counted", 2_000, () => counts().join() === "lima 1 0,paris 2 2");
    await remove(site(paris), "c");
    await until("there is room for another", site(tokyo), "a paris 1", "b paris 1", "e lima 1");
    await sites.until("it is counted", 2_000, () => counts().join() === "lima 1 0,paris 2 1");
  });

  it("hears nothing from a site that lies", async () => {
    const lies: [string, Partial<Segment>][] = [
      ["whose it is", { home: "lima" }],
      ["whom it is for", { sites: ["paris"] }],
      ["what it is", { layer: "l4" }],
      ["how it is cut", { siteBlocks: [{ site: "tokyo", prefixes: ["10.0.0.0/8"] }] }],
      ["what this site may give out", { siteBlocks: [{ site: "paris", prefixes: ["10.60.0.0/24"] }] }],
    ];
    const good = { home: "paris", siteBlocks: [{ site: "tokyo", prefixes: ["10.60.0.0/24"] }], version: 1, createdMs: 1 };
    site(paris).federated.api.segments = async function* () {
      const segments = [...lies.map(([, lie], at) => plant({ ...good, name: `lie-${at}`, ...lie })), plant({ ...good, name: "true" })];
      yield { segments, history: "h", revision: 1 };
      await new Promise(() => {});
    };
    site(paris).cut();
    site(paris).answer();
    await until("the true one is there, and no other", site(tokyo), "true paris 1");
  });

  it("stays where its home has forgotten it, until it is made and deleted there again", async () => {
    await apply(site(paris));
    await until("it is in tokyo", site(tokyo), "plant paris 1");
    await allocate(site(tokyo), "node/tokyo-1/nsmgr");
    await site(paris).stop();
    const { entries } = await site(paris).store.list("");
    // As of a store that was made anew, or restored from before the segment was made: all but the sites that are joined.
    for (const { key } of entries.filter((entry) => /^(history|segment|services)/.test(entry.key)))
      await site(paris).store.commit({ writes: [{ op: "delete", key }] });
    await site(paris).start();
    await sites.until("they have found each other", 10_000, () => site(tokyo).states().includes("paris up"));
    await apply(site(paris), { name: "office", prefixes: ["10.61.0.0/16"] });
    await until("tokyo has heard of paris", site(tokyo), "office paris 1", "plant paris 1");
    await remove(site(paris), "office");
    await until("what is deleted now goes", site(tokyo), "plant paris 1");
    assert.equal((await site(tokyo).store.list("segment-block/plant/")).entries.length, 1);
    await apply(site(paris), { mtu: 1300 });
    await sites.until("the new one is there", 5_000, () => site(tokyo).segments.get("plant")?.mtu === 1300);
    await remove(site(paris));
    await until("it is gone in tokyo", site(tokyo));
    site(paris).cut();
    await site(tokyo).leave("paris");
    await sites.until("nothing is left of it", 1_000, async () => {
      const { entries } = await site(tokyo).store.list("segment-");
      return entries.map(({ key }) => key).join() === "segment-home/lima";
    });
  });

  it("has nodes in its own sites only", async () => {
    await apply(site(paris));
    await until("it is in tokyo", site(tokyo), "plant paris 1");
    await using watch = site(paris).watch("plant");
    const member = (of: TestSite, id: string, name: string) =>
      of.serveLabelled(membershipName("plant", name, 0), "plant", memberLabels(id, []), id);
    await member(site(tokyo), "spiffe://tokyo.test/node/tokyo-1/forwarder", "forwarder-1");
    await sites.until("tokyo's is seen", 2_000, () => namesIn(watch).join() === "plant.forwarder-1.0@tokyo");
    // lima has no such segment, so nobody there checks what is said.
    await member(site(lima), "spiffe://lima.test/node/lima-1/forwarder", "forwarder-2");
    await member(site(lima), "spiffe://paris.test/node/paris-1/forwarder", "forwarder-3");
    await site(lima).serve("other-1", "other");
    await using other = site(paris).watch("other");
    await sites.until("lima is heard", 2_000, () => namesIn(other).join() === "other-1@lima");
    assert.deepEqual(namesIn(watch), ["plant.forwarder-1.0@tokyo"]);
    await apply(site(paris), { sites: ["paris", "tokyo", "lima"] });
    await until("lima has the segment", site(lima), "plant paris 2");
    await member(site(lima), "spiffe://lima.test/node/lima-1/forwarder", "forwarder-2");
    await sites.until(
      "lima's own is seen now, and not the one that says it is paris's",
      2_000,
      () => namesIn(watch).join() === "plant.forwarder-1.0@tokyo,plant.forwarder-2.0@lima",
    );
    await apply(site(paris), { sites: ["paris", "lima"] });
    await sites.until("tokyo's is not seen any more", 2_000, () => namesIn(watch).join() === "plant.forwarder-2.0@lima");
  });
});
