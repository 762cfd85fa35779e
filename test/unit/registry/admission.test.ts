import assert from "node:assert/strict";
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { Authority } from "../../../identity/ca/authority.js";
import { signedBy } from "../../../identity/ca/joiner.js";
import { formatJoinToken, parseJoinToken } from "../../../identity/ca/joinToken.js";
import { generateKey, spkiOf } from "../../../identity/keys.js";
import { parseSpiffeId } from "../../../identity/spiffe.js";
import { checkAuthority } from "../../../registry/admission/oneAuthority.js";
import { noAuthority } from "../../../registry/admission/site.js";
import type { Transaction } from "../../../registry/store.js";
import { failsWith, throwsWith } from "../../lib/chainKit.js";
import { newFolder } from "../../lib/folder.js";
import { forever, hour, idIn, Site, url } from "./admissionWorld.js";

describe("an invitation", () => {
  let site: Site;
  beforeEach(async () => {
    site = await Site.open();
  });
  afterEach(() => site[Symbol.asyncDispose]());

  it("lets each program of its node in, once, under the node's name", async () => {
    const { token } = await site.invite();
    assert.equal(idIn(await site.join(token)), "URI:spiffe://paris/node/paris-1/nsmgr");
    assert.equal(idIn(await site.join(token, undefined, { program: "forwarder" })), "URI:spiffe://paris/node/paris-1/forwarder");
    await failsWith("denied", /was used for the nsmgr of paris-1 at .*; each program may use it once: make another/, site.join(token));
  });

  it("lets one of two in who come at once", async () => {
    const { token } = await site.invite();
    const results = await Promise.allSettled([site.join(token), site.join(token), site.join(token)]);
    assert.deepEqual(results.map(({ status }) => status).sort(), ["fulfilled", "rejected", "rejected"]);
  });

  it("gives the same key its identity again when the answer was lost", async () => {
    const { token } = await site.invite();
    const { publicKey } = generateKey();
    await site.join(token, publicKey);
    assert.match(idIn(await site.join(token, publicKey)), /nsmgr/);
  });

  it("gives that key nothing more when its node has joined anew by another", async () => {
    const { token } = await site.invite();
    const [thief, { publicKey: owner }] = [generateKey().publicKey, generateKey()];
    await site.join(token, thief);
    await site.join((await site.invite()).token, owner);
    await failsWith("denied", "has joined anew since, with another key", site.join(token, thief));
    assert.match(idIn(await site.join(undefined, owner)), /nsmgr/);
  });

  it("gives the same key its identity again when it had ended by the time that it was asked a second time", async () => {
    const { token } = await site.invite();
    const { publicKey } = generateKey();
    await site.join(token, publicKey);
    await site.clock.advance(120_000);
    assert.match(idIn(await site.join(token, publicKey)), /nsmgr/);
  });

  it("is refused after its time, and the sentence asks after the clocks when that was a moment ago", async () => {
    const { token } = await site.invite("paris-1", 60_000);
    await site.clock.advance(60_000 + 300_000);
    await failsWith(
      "denied",
      /the join token ended at .*, 300 s off by this machine's clock: do the clocks of both machines agree\?/,
      site.join(token),
    );
    await site.clock.advance(2 * 86_400_000);
    await failsWith("denied", /knows no invitation .*too long ago/, site.join(token));
  });

  it("is refused when its secret is another, when it was made for another node, and by another site's registry", async () => {
    const { token } = await site.invite();
    await failsWith("denied", "it was altered", site.join({ ...token, secret: Buffer.alloc(32) }));
    await failsWith("denied", "was made for the node paris-1, not for paris-2", site.join(token, undefined, { node: "paris-2" }));
    await using other = await Site.open();
    await failsWith("denied", /knows no invitation .*another site's registry made it/, other.join(token));
  });

  it("is for the programs of nodes only", async () => {
    const { token } = await site.invite();
    await failsWith("invalid", "one of nsmgr, forwarder", site.join(token, undefined, { program: "registry" }));
  });

  it("is kept without its secret", async () => {
    const { token } = await site.invite();
    const { entries } = await site.store.list("admission/");
    const kept = entries.map(({ value }) => Buffer.from(value).toString("latin1")).join();
    for (const form of ["hex", "base64", "base64url", "latin1"] as const)
      assert.ok(!kept.includes(Buffer.from(token.secret).toString(form)));
  });

  it("is not made for longer than 30 days, nor where the registry has no authority", async () => {
    await failsWith("invalid", "at most 30 days", site.invite("a", 31 * 86_400_000));
    await failsWith("unsupported", "has no authority", noAuthority.inviteNode({ node: "a", lifetimeMs: 0 }, forever));
  });
});

describe("a join token", () => {
  it("is one word that says all, and is read again", async () => {
    await using site = await Site.open();
    const { text, token } = await site.invite();
    assert.match(text, /^isthmus-join-1\.[\w-]+\.[\w-]{8}$/);
    assert.deepEqual([token.url, token.node, token.authority], [url, "paris-1", site.authority.fingerprint]);
    assert.equal(token.expires, site.clock.now() + 60_000);
    assert.deepEqual(parseJoinToken(`${formatJoinToken(token)}\n`), token);
  });

  it("makes the joiner speak to none but the site's own registry", async () => {
    await using site = await Site.open();
    await using other = await Site.open();
    const key = generateKey();
    const chainOf = async ({ authority }: Site) => {
      const { chain, authorities } = await authority.issue(parseSpiffeId("spiffe://paris/registry"), spkiOf(key.publicKey));
      return [...chain, ...authorities];
    };
    const { token } = await site.invite();
    const trust = signedBy(token.authority, site.clock.now());
    assert.equal(trust(await chainOf(site)).id, "spiffe://paris/registry");
    const [leaf] = await chainOf(other);
    throwsWith("denied", "is not the one that made the token", () => trust(leaf === undefined ? [] : [leaf, other.authority.certificate]));
    throwsWith("denied", "is signed by none", () => trust(leaf === undefined ? [] : [leaf, site.authority.certificate]));
  });

  it("is refused when it is none, not whole, or altered, and is not shown", async () => {
    await using site = await Site.open();
    const { text } = await site.invite();
    for (const bad of ["", "hello", "a.b.c", text.slice(0, 40), `${text}.x`, "x".repeat(5000)])
      throwsWith("invalid", "was it copied whole?", () => parseJoinToken(bad));
    const at = text.length - 30;
    const altered = text.slice(0, at) + (text[at] === "A" ? "B" : "A") + text.slice(at + 1);
    throwsWith("invalid", "a letter was lost or altered", () => parseJoinToken(altered));
  });
});

describe("registries that share a store", () => {
  it("sign with one authority; another is refused unless it takes over", async () => {
    await using site = await Site.open();
    using folder = newFolder();
    const shared = {
      abilities: { ...site.store.abilities, shared: true },
      get: (key: string) => site.store.get(key),
      commit: (transaction: Transaction) => site.store.commit(transaction),
    };
    const [keyFile, certificateFile] = [join(folder.path, "ca.key"), join(folder.path, "ca.pem")];
    const open = () => Authority.open({ keyFile, certificateFile, trustDomain: "paris", lifetimeMs: hour, clock: site.clock });
    const another = await open();
    await checkAuthority(site.store, another);
    await checkAuthority(shared, site.authority);
    await checkAuthority(shared, site.authority);
    const sentence = /sign with the authority [0-9a-f]{16}…, this one would with .* NSM_CA_KEY_FILE and NSM_CA_CERT_FILE/;
    await failsWith("invalid", sentence, checkAuthority(shared, another));
    appendFileSync(certificateFile, site.authority.certificate.toString());
    await checkAuthority(shared, await open());
    await failsWith("invalid", sentence, checkAuthority(shared, site.authority));
  });
});
