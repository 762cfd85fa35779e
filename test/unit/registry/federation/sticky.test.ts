import assert from "node:assert/strict";
import { Segment } from "../../../../api/gen/isthmus/v1/segment.js";
import { silent } from "../../../../core/log.js";
import { membershipOf } from "../../../../core/segment/membership.js";
import { SegmentsAdmin } from "../../../../registry/segments/admin.js";
import type { PeerSet } from "../../../../rpc/peers.js";
import { refused } from "../site.js";
import { forever, namesIn, Sites, type TestSite } from "./world.js";

/** A sticky name and for which connection of which program of a site; the registry that is asked is that site's. */
interface By {
  readonly at: TestSite;
  readonly program?: string;
  readonly connection?: string;
  readonly segment?: string;
  readonly ids?: { readonly forwarder?: string; readonly nsmgr?: string };
}

describe("a sticky name of a segment of several sites", () => {
  let sites: Sites;
  let paris: TestSite;
  let tokyo: TestSite;
  let lima: TestSite;
  const opened: PeerSet[] = [];
  beforeEach(async () => {
    sites = await Sites.open("paris", "tokyo", "lima");
    [paris, tokyo, lima] = [0, 1, 2].map((at) => sites.get(at)) as [TestSite, TestSite, TestSite];
    await sites.joinAll();
    await apply({ name: "plant", sites: ["paris", "tokyo"] });
    await sites.until("it is in tokyo", 5_000, () => tokyo.segments.has("plant"));
  });
  afterEach(async () => {
    for (const peers of opened.splice(0)) await peers[Symbol.asyncDispose]();
    await sites[Symbol.asyncDispose]();
  });

  const apply = async (more: Partial<Segment>) => {
    const { store, registryId, name: site, segments: book, audit } = paris;
    const { endpoints, federation } = paris.federated;
    const joined = () => federation.sites.list().map(({ name }) => name);
    const admin = new SegmentsAdmin({ store, registryId, site, book, audit, endpoints, joined, clock: sites.clock, log: silent });
    const segment = Segment.fromPartial({ layer: "l3", prefixes: ["10.60.0.0/16", "fd60::/48"], ...more });
    await sites.while(admin.apply(segment, forever));
  };
  const stickyOf = async ({ at, program = `node/${at.name}-1/nsmgr` }: By, asks: TestSite = at) => {
    const peers = sites.network.peers({ identity: await at.identityOf(program), clock: sites.clock });
    opened.push(peers);
    return peers.sticky(asks.url);
  };
  const askOf = ({ at, connection = "c-1", segment = "plant", ids }: By) => ({
    ...{ segment, name: "cam", connection, forwarder: `spiffe://${at.trustDomain}/node/${at.name}-1/forwarder` },
    ...ids,
  });
  const claim = async (by: By, asks?: TestSite) => {
    const { addresses, sequence } = await sites.while((await stickyOf(by, asks)).claim({ ...askOf(by), wishes: [] }, forever));
    return `${addresses.join(" ")} ${sequence}`;
  };
  const release = async (by: By) => await sites.while((await stickyOf(by)).release(askOf(by), forever));
  const record = async () => {
    const entry = await paris.store.get("segment-sticky/plant/cam");
    return JSON.parse(Buffer.from(entry?.value ?? assert.fail("there is no record")).toString()) as { holder?: unknown };
  };
  const cut = async () => {
    paris.cut();
    await sites.until("paris is away", 10_000, () => tokyo.states().includes("paris away"));
  };

  it("moves from site to site and back with its addresses, which are of its home's part", async () => {
    assert.equal(await claim({ at: paris }), "10.60.63.1 fd60:0:0:3fff::1 1");
    assert.equal(await claim({ at: tokyo, connection: "c-2" }), "10.60.63.1 fd60:0:0:3fff::1 2");
    const node = "spiffe://tokyo.test/node/tokyo-1";
    assert.deepEqual((await record()).holder, {
      ...{ site: "tokyo", nsmgr: `${node}/nsmgr`, forwarder: `${node}/forwarder`, connection: "c-2" },
    });
    await release({ at: paris });
    assert.ok((await record()).holder, "it is not paris's any more to let go of");
    assert.equal(await claim({ at: paris, connection: "c-3" }), "10.60.63.1 fd60:0:0:3fff::1 3");
    await refused(
      "moved",
      () => claim({ at: tokyo, connection: "c-2" }),
      /was taken over by a member at spiffe:\/\/paris\.test\/node\/paris-1/,
    );
    await release({ at: paris, connection: "c-3" });
    assert.equal((await record()).holder, undefined);
    assert.equal(await claim({ at: tokyo, connection: "c-4" }), "10.60.63.1 fd60:0:0:3fff::1 4");
    assert.deepEqual((await tokyo.store.list("segment-sticky/")).entries, []);
  });

  it("is told to all sites of the segment by its home, with the nodes that claimed it last, and by nobody else", async () => {
    await using watch = tokyo.watch("plant");
    await claim({ at: paris });
    await claim({ at: tokyo, connection: "c-2" });
    const word = () => {
      const endpoint = watch.shown.get("plant.cam.sticky@paris");
      const membership = endpoint && membershipOf(endpoint, "plant");
      return membership?.kind === "sticky" ? membership.word : undefined;
    };
    await sites.until("tokyo hears of it", 2_000, () => word()?.claims.length === 2);
    const idOf = (site: string) => `spiffe://${site}.test/node/${site}-1/forwarder`;
    assert.deepEqual(word(), {
      ...{ name: "cam", addresses: ["10.60.63.1", "fd60:0:0:3fff::1"] },
      claims: [
        { id: idOf("tokyo"), sequence: 2 },
        { id: idOf("paris"), sequence: 1 },
      ],
    });
    assert.deepEqual(namesIn(watch), ["plant.cam.sticky@paris"]);
  });

  it("waits for its home while that is away, and says so", async () => {
    await claim({ at: tokyo });
    const sentence =
      /^the sticky name cam of the segment plant waits for paris, which keeps it and does not answer: .*; join without --sticky, or try again$/;
    paris.cut();
    await refused("unreachable", () => claim({ at: tokyo, connection: "c-2" }), sentence);
    await cut();
    await refused("unreachable", () => claim({ at: tokyo, connection: "c-2" }), sentence);
    await refused("unreachable", () => release({ at: tokyo }), sentence);
    paris.answer();
    assert.equal(await claim({ at: paris, connection: "c-3" }), "10.60.63.1 fd60:0:0:3fff::1 2");
    await sites.until("they have found each other", 5_000, () => tokyo.states().includes("paris up"));
    assert.equal(await claim({ at: tokyo, connection: "c-2" }), "10.60.63.1 fd60:0:0:3fff::1 3");
  });

  it("is not waited for when its home turns out to be away in the midst of it", async () => {
    await cut();
    const silence = new Promise<never>(() => {});
    const { api } = paris.federated;
    const follow = async function* (...[peer, signal]: Parameters<typeof api.follow>) {
      for await (const said of api.follow(peer, signal)) {
        yield said;
        await silence;
      }
    };
    const sticky = { claim: () => silence, release: () => silence };
    paris.answer({ sticky, federation: { ...api, follow } });
    await sites.until("they have found each other", 5_000, () => tokyo.states().includes("paris up"));
    const start = sites.clock.now();
    await refused(
      "unreachable",
      () => claim({ at: tokyo }),
      /waits for paris, .*: the site paris does not answer: .* has not said a word for 3000 ms; /,
    );
    assert.ok(sites.clock.now() - start <= 4_500, "with the second in which nothing has to be said");
  });

  it("is asked for at home by the registries of sites that take part, and by nobody else from there", async () => {
    const nsmgr = "node/tokyo-1/nsmgr";
    await refused(
      "denied",
      () => claim({ at: tokyo, program: nsmgr }, paris),
      /of that only its registry, spiffe:\/\/tokyo\.test\/registry, may/,
    );
    const ids = { nsmgr: "spiffe://lima.test/node/lima-1/nsmgr", forwarder: "spiffe://lima.test/node/lima-1/forwarder" };
    const none = /^lima does not take part in the segment plant; that is for paris, tokyo$/;
    await refused("denied", () => claim({ at: lima, program: "registry", ids }, paris), none);
    assert.deepEqual(paris.audit.deniedTo("spiffe://lima.test/registry"), ["claim the sticky name cam of plant"]);
    await refused("not-found", () => claim({ at: lima }), /^there is no segment plant in lima; make it with/);
  });

  it("is given to nodes of who asks for them only", async () => {
    const other = "spiffe://paris.test/node/paris-1/forwarder";
    const own = { nsmgr: "spiffe://tokyo.test/node/tokyo-1/nsmgr" };
    const registry = { at: tokyo, program: "registry" };
    const foreign = /^spiffe:\/\/paris\.test\/node\/paris-1\/forwarder is not of tokyo, whose registry asks for it/;
    await refused("denied", () => claim({ ...registry, ids: { ...own, forwarder: other } }, paris), foreign);
    await refused("invalid", () => claim({ ...registry, ids: { forwarder: "spiffe://tokyo.test/f" } }, paris), /^"" is no SPIFFE id/);
    const elsewhere = /^spiffe:\/\/paris\.test\/node\/paris-1\/forwarder is of another site; it asks for sticky names at its own registry$/;
    await refused("denied", () => claim({ at: tokyo, ids: { forwarder: other } }), elsewhere);
  });

  it("is not passed on twice", async () => {
    await apply({ name: "all", prefixes: ["10.61.0.0/16"], sites: ["paris", "tokyo", "lima"] });
    await sites.until("it is everywhere", 5_000, () => tokyo.segments.has("all") && lima.segments.has("all"));
    const by = { at: lima, program: "registry", segment: "all" };
    await refused(
      "denied",
      () => claim(by, tokyo),
      /^the sticky names of the segment all are kept in paris, where it was made; ask there$/,
    );
  });
});
