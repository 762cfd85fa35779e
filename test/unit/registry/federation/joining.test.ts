import assert from "node:assert/strict";
import { formatJoinToken } from "../../../../identity/ca/joinToken.js";
import { formatSiteToken, parseSiteToken } from "../../../../identity/ca/siteToken.js";
import { authority } from "../../../lib/certificates.js";
import { refused } from "../site.js";
import { namesIn, Sites } from "./world.js";

describe("a site's token", () => {
  let sites: Sites;
  beforeEach(async () => {
    sites = await Sites.open("paris", "tokyo");
  });
  afterEach(() => sites[Symbol.asyncDispose]());

  it("is one word that says whose it is, where that is, and what its authority is", async () => {
    const text = await sites.get(0).invite();
    assert.match(text, /^isthmus-site-1\.[\w-]+\.[\w-]{8}$/);
    const { site, trustDomain, url, expires, secret } = parseSiteToken(text);
    assert.deepEqual([site, trustDomain, url], ["paris", "paris.test", "tcp://paris.paris.test:5002"]);
    assert.deepEqual([expires - sites.clock.now(), secret.length], [60_000, 32]);
  });

  it("makes each know the other: name, trust domain, authorities and addresses", async () => {
    const [paris, tokyo] = [sites.get(0), sites.get(1)];
    await tokyo.join(await paris.invite());
    await sites.until("both are up", 2_000, () => paris.states().includes("tokyo up") && tokyo.states().includes("paris up"));
    for (const [site, other] of [
      [paris, tokyo],
      [tokyo, paris],
    ] as const) {
      const { name, trustDomain, sites: joined } = await site.federated.admin.listSites(AbortSignal.timeout(1_000));
      assert.deepEqual([name, trustDomain], [site.name, site.trustDomain]);
      assert.deepEqual(
        joined.map((one) => [one.name, one.trustDomain, one.urls, one.state, one.authorities.length]),
        [[other.name, other.trustDomain, [other.url], "up", 1]],
      );
      assert.ok(site.identity.source.bundles.has(other.trustDomain));
    }
  });

  it("is good once, and again for the same site when the answer was lost", async () => {
    const [paris, tokyo] = [sites.get(0), sites.get(1)];
    const token = await paris.invite();
    await tokyo.join(token);
    await tokyo.join(token);
    const lima = await sites.add({ name: "lima" });
    await refused("denied", () => lima.join(token), /the token was used by the site tokyo at .*; it may be used once: make another/);
    assert.deepEqual(lima.states(), []);
  });

  it("does not bring back a site that was left since", async () => {
    const [paris, tokyo] = [sites.get(0), sites.get(1)];
    const token = await paris.invite();
    await tokyo.join(token);
    await paris.leave("tokyo");
    await tokyo.leave("paris");
    await refused("denied", () => tokyo.join(token), /the token was used by the site tokyo at .*; it may be used once: make another/);
    assert.deepEqual(paris.states(), []);
  });

  it("is refused after its time by either side, and the sentence asks after the clocks", async () => {
    const [paris, tokyo] = [sites.get(0), sites.get(1)];
    const token = await paris.invite(1_000);
    await sites.clock.advance(61_000);
    await refused("denied", () => tokyo.join(token), /the token ended at .*, 60 s off by this machine's clock: do the clocks/);
    const longer = formatSiteToken({ ...parseSiteToken(token), expires: sites.clock.now() + 60_000 });
    await refused("denied", () => tokyo.join(longer), /the token ended at .*; make another/);
  });

  it("is refused when it was altered, is not whole, is a node's, or was made by another registry", async () => {
    const [paris, tokyo] = [sites.get(0), sites.get(1)];
    const text = await paris.invite();
    const token = parseSiteToken(text);
    await refused("invalid", () => tokyo.join(text.slice(0, 60)), /is one word that begins with isthmus-site-1; this is none/);
    await refused("invalid", () => tokyo.join(text.replace(/.{4}$/, "AAAA")), /a letter was lost or altered/);
    const { site: _, trustDomain: __, ...common } = token;
    await refused("invalid", () => tokyo.join(formatJoinToken({ ...common, node: "n" })), /a token of `nsmctl site invite` is one word/);
    await refused("denied", () => tokyo.join(formatSiteToken({ ...token, secret: Buffer.alloc(32) })), /it was altered/);
    await refused(
      "denied",
      () => tokyo.join(formatSiteToken({ ...token, invitation: "other" })),
      /knows no invitation other: another site/,
    );
    const wrong = formatSiteToken({ ...token, authority: "0".repeat(64) });
    await refused("denied", () => tokyo.join(wrong), /do not include the one that the token names/);
    assert.deepEqual(tokyo.states(), []);
  });

  it("is kept without its secret, and not made for longer than 30 days", async () => {
    const paris = sites.get(0);
    const { secret } = parseSiteToken(await paris.invite());
    const { entries } = await paris.store.list("admission/");
    const kept = entries.map(({ value }) => Buffer.from(value).toString("latin1")).join();
    for (const form of ["hex", "base64", "base64url", "latin1"] as const) assert.ok(!kept.includes(Buffer.from(secret).toString(form)));
    await refused("invalid", () => paris.invite(31 * 86_400_000), /at most 30 days/);
  });
});

describe("two sites", () => {
  it("with one name or one trust domain cannot join", async () => {
    await using sites = await Sites.open("paris");
    const paris = sites.get(0);
    const namesake = await sites.add({ name: "paris", trustDomain: "other.test" });
    const twin = await sites.add({ name: "lima", trustDomain: "paris.test" });
    const token = await paris.invite();
    await refused("exists", () => namesake.join(token), /both sites are called paris; give one of them another name \(NSM_SITE/);
    await refused("exists", () => twin.join(token), /both sites have the trust domain paris.test; give one of them another one/);
    assert.deepEqual([paris.states(), namesake.states(), twin.states()], [[], [], []]);
  });

  it("of which one takes another's place are refused as long as that is joined", async () => {
    await using sites = await Sites.open("paris", "tokyo");
    const [paris, tokyo] = [sites.get(0), sites.get(1)];
    await tokyo.join(await paris.invite());
    const impostor = { ...tokyo.says(), bundle: [(await authority(sites.clock.now())).certificate] };
    const { invitation, secret } = parseSiteToken(await paris.invite());
    const join = (site: ReturnType<typeof tokyo.says>) =>
      paris.federated.api.join({
        ...{ invitation, secret: Buffer.from(secret) },
        site: { ...site, urls: [...site.urls], bundle: { certificates: site.bundle.map(({ raw }) => raw) } },
      });
    await refused(
      "exists",
      () => join(impostor),
      /a site tokyo is joined already, with other authorities; `nsmctl site leave tokyo` first/,
    );
    const renamed = { ...tokyo.says(), name: "kyoto" };
    await refused("exists", () => join(renamed), /the trust domain tokyo.test is that of tokyo, which is joined already/);
    const moved = { ...tokyo.says(), trustDomain: "kyoto.test", registryId: "spiffe://kyoto.test/registry" };
    await refused("exists", () => join(moved), /a site tokyo is joined already, with the trust domain tokyo.test/);
    const own = { ...tokyo.says(), name: "rome", trustDomain: "paris.test", registryId: "spiffe://paris.test/registry" };
    await refused(
      "exists",
      () => join(own),
      /both sites have the trust domain paris.test; give one of them another one \(NSM_TRUST_DOMAIN\)/,
    );
    await refused(
      "invalid",
      () => join({ ...tokyo.says(), registryId: "spiffe://paris.test/registry" }),
      /which is not of its trust domain/,
    );
    await refused("invalid", () => join({ ...tokyo.says(), name: "To kyo" }), /a name of lower-case letters, digits and dashes/);
  });

  it("follow what the other says of itself later: another address, an authority that takes over", async () => {
    await using sites = await Sites.open("paris", "tokyo");
    await sites.joinAll();
    const [paris, tokyo] = [sites.get(0), sites.get(1)];
    const next = await authority(sites.clock.now());
    tokyo.bundle = [...tokyo.bundle, next.certificate];
    await tokyo.stop();
    await tokyo.start();
    await sites.until("paris trusts both", 3_000, () => paris.identity.source.bundles.get("tokyo.test")?.length === 2);
    assert.equal(paris.identity.source.bundles.get("paris.test")?.length, 1);
  });

  it("stay parted when one is left just while it says something new of itself", async () => {
    await using sites = await Sites.open("paris", "tokyo");
    await sites.joinAll();
    const [paris, tokyo] = [sites.get(0), sites.get(1)];
    const { store } = paris;
    const commit = store.commit.bind(store);
    let leaving = false;
    store.commit = async (transaction) => {
      if (!leaving) {
        leaving = true;
        await paris.leave("tokyo");
      }
      return await commit(transaction);
    };
    tokyo.bundle = [...tokyo.bundle, (await authority(sites.clock.now())).certificate];
    await tokyo.stop();
    await tokyo.start();
    await sites.until("paris leaves", 5_000, () => leaving);
    await sites.clock.advance(1_000);
    assert.deepEqual(paris.states(), []);
    assert.deepEqual([...paris.identity.source.bundles.keys()], ["paris.test"]);
  });

  it("are parted when one leaves: nothing is found there, and the other may not ask any more", async () => {
    await using sites = await Sites.open("paris", "tokyo");
    await sites.joinAll();
    const [paris, tokyo] = [sites.get(0), sites.get(1)];
    await tokyo.serve("echo-1", "echo");
    await using watch = paris.watch("echo");
    await sites.until("it is seen", 1_000, () => namesIn(watch).length === 1);
    await paris.leave("tokyo");
    await sites.until("it is not seen", 1_000, () => namesIn(watch).length === 0);
    assert.ok(!paris.identity.source.bundles.has("tokyo.test"));
    await refused("not-found", () => paris.find("echo@tokyo"), /not joined with a site "tokyo"; it is joined with none/);
    await sites.until("tokyo notices", 5_000, () => tokyo.states().includes("paris away"));
    await refused("not-found", () => paris.leave("tokyo"), /not joined with a site "tokyo"/);
  });

  it("forget each other at once, also while something that one said is still being written", async () => {
    await using sites = await Sites.open("paris", "tokyo");
    await sites.joinAll();
    const [paris, tokyo] = [sites.get(0), sites.get(1)];
    await tokyo.serve("echo-1", "echo");
    await using watch = paris.watch("echo");
    await sites.until("it is seen", 1_000, () => namesIn(watch).length === 1);
    const commit = paris.store.commit.bind(paris.store);
    let written: () => void = () => {};
    let writing = false;
    paris.store.commit = async (transaction) => {
      if (!writing) {
        writing = true;
        await new Promise<void>((resolve) => {
          written = resolve;
        });
      }
      return await commit(transaction);
    };
    tokyo.bundle = [...tokyo.bundle, (await authority(sites.clock.now())).certificate];
    await tokyo.stop();
    await tokyo.start();
    await sites.until("it is being written", 5_000, () => writing);
    await paris.leave("tokyo");
    await sites.until("it is not seen", 1_000, () => namesIn(watch).length === 0);
    written();
  });

  it("end what was watched there when they part, so that it is asked for anew when they are joined again", async () => {
    await using sites = await Sites.open("paris", "tokyo");
    await sites.joinAll();
    const [paris, tokyo] = [sites.get(0), sites.get(1)];
    await using watch = paris.watch("echo@tokyo");
    await using plain = paris.watch("echo");
    await sites.clock.advance(500);
    await paris.leave("tokyo");
    await refused("unreachable", () => watch.reading, /the site tokyo was left/);
    await tokyo.serve("echo-1", "echo");
    await paris.join(await tokyo.invite());
    await sites.until("it is seen under its plain name", 3_000, () => namesIn(plain).length === 1);
  });
});
