import assert from "node:assert/strict";
import type { KeyObject } from "node:crypto";
import { appendFileSync, existsSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { IssuedIdentity } from "../../../api/gen/isthmus/v1/identity.js";
import { MeshError } from "../../../core/error.js";
import { silent } from "../../../core/log.js";
import type { Bundles } from "../../../identity/bundles.js";
import { Authority } from "../../../identity/ca/authority.js";
import { signedBy } from "../../../identity/ca/joiner.js";
import { formatJoinToken, type JoinToken, parseJoinToken } from "../../../identity/ca/joinToken.js";
import { type AuthorityClient, type Granted, openMember } from "../../../identity/ca/member.js";
import { parseDer } from "../../../identity/certificate.js";
import { Identity } from "../../../identity/identity.js";
import { generateKey, spkiOf } from "../../../identity/keys.js";
import { parseSpiffeId } from "../../../identity/spiffe.js";
import { Members } from "../../../registry/admission/members.js";
import { checkAuthority } from "../../../registry/admission/oneAuthority.js";
import { noAuthority, nodesApi } from "../../../registry/admission/site.js";
import { openMemoryStore } from "../../../registry/memory.js";
import type { Store, Transaction } from "../../../registry/store.js";
import { failsWith, throwsWith } from "../../lib/chainKit.js";
import { FakeClock } from "../../lib/fakeClock.js";
import { newFolder } from "../../lib/folder.js";
import { until } from "../../lib/until.js";

const forever = new AbortController().signal;
const hour = 3_600_000;
const url = "tcp://10.0.0.1:5002";

/** A registry's authority and what it keeps of who has joined. */
class Site implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly folder = newFolder();
  readonly store: Store = openMemoryStore({ clock: this.clock, log: silent });
  authority!: Authority;
  members!: Members;
  readonly #listeners = new Set<() => void>();
  #foreign: Bundles = new Map();

  /** Whom the site trusts besides itself, from now on. */
  trustAlso(foreign: Bundles): void {
    this.#foreign = foreign;
    for (const listener of this.#listeners) listener();
  }

  get trust() {
    const site = this;
    return {
      get bundles(): Bundles {
        return new Map([...site.#foreign, [site.authority.trustDomain, site.authority.authorities]]);
      },
      listen(listener: () => void): Disposable {
        site.#listeners.add(listener);
        return { [Symbol.dispose]: () => void site.#listeners.delete(listener) };
      },
    };
  }

  static async open(): Promise<Site> {
    const site = new Site();
    const files = { keyFile: join(site.folder.path, "ca.key"), certificateFile: join(site.folder.path, "ca.pem") };
    site.authority = await Authority.open({ ...files, trustDomain: "paris", lifetimeMs: hour, clock: site.clock });
    site.members = new Members({ ...site.parts });
    return site;
  }

  get parts() {
    return { store: this.store, authority: this.authority, trust: this.trust, clock: this.clock, log: silent };
  }

  async invite(node = "paris-1", lifetimeMs = 60_000): Promise<{ readonly text: string; readonly token: JoinToken }> {
    const { token: text } = await nodesApi({ ...this.parts, url }).inviteNode({ node, lifetimeMs }, forever);
    return { text, token: parseJoinToken(text) };
  }

  join(
    token: JoinToken | undefined,
    key: KeyObject = generateKey().publicKey,
    more: { program?: string; node?: string } = {},
  ): Promise<IssuedIdentity> {
    const { program = "nsmgr", node = token?.node ?? "paris-1" } = more;
    return this.members.join({ program, node, invitation: token?.invitation ?? "", secret: Buffer.from(token?.secret ?? []) }, key);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store[Symbol.asyncDispose]();
    this.folder[Symbol.dispose]();
  }
}

function idIn({ chain }: IssuedIdentity): string {
  return parseDer(chain, "x")[0]?.subjectAltName ?? "";
}

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

describe("a member of a site", () => {
  let site: Site;
  let folder: ReturnType<typeof newFolder>;
  beforeEach(async () => {
    site = await Site.open();
    folder = newFolder();
    away = false;
  });
  afterEach(async () => {
    await site[Symbol.asyncDispose]();
    folder[Symbol.dispose]();
  });

  const file = () => join(folder.path, "nsmgr", "identity.json");
  const tokenFile = () => join(folder.path, "token");
  /** Nobody answers, at the token's address alone or anywhere. */
  let away: boolean | "first" = false;
  const other = "tcp://10.0.0.2:5002";

  /** The registry, as if over the wire: it sees the key that was shown, and who that is. */
  const client = (): AuthorityClient => {
    const granted = ({ chain, bundles }: IssuedIdentity): Granted => ({
      chain: chain.length === 0 ? [] : parseDer(chain, "x"),
      bundles: new Map(Object.entries(bundles).map(([domain, { certificates }]) => [domain, parseDer(certificates, "x")])),
    });
    const check = (at: string) => {
      if (away === true || (away === "first" && at === url)) throw new MeshError("unreachable", "nothing answers");
    };
    return {
      join: async (at, showing, { program, node, token }) => {
        check(at);
        const key = showing.source.current.chain[0]?.publicKey ?? assert.fail();
        return granted(await site.join(token, key, { program, node }));
      },
      renew: async (at, showing, publicKey) => {
        check(at);
        const { id, chain } = showing.source.current;
        const peer = { id: id.text, publicKey: chain[0]?.publicKey ?? assert.fail() };
        return granted(await site.members.renew({ publicKey: Buffer.from(publicKey) }, peer));
      },
      async *followTrust(at, showing, signal) {
        check(at);
        const { id, chain } = showing.source.current;
        const peer = { id: id.text, publicKey: chain[0]?.publicKey ?? assert.fail() };
        for await (const { bundles } of site.members.followTrust(peer, signal)) yield granted({ chain: [], bundles }).bundles;
      },
    };
  };
  const open = (signal = forever) =>
    openMember({
      ...{
        file: file(),
        tokenFile: tokenFile(),
        registryUrls: [url, other],
        program: "nsmgr",
        authority: client(),
        clock: site.clock,
        log: silent,
        signal,
      },
      showing: (source) => new Identity({ source, clock: site.clock, tokenLifetimeMs: 60_000 }),
    });
  const invited = async () => writeFileSync(tokenFile(), `${(await site.invite()).text}\n`, { mode: 0o600 });

  it("joins with its token, keeps what it got where only its owner can read it, and has it again after a restart", async () => {
    await invited();
    const first = await open();
    assert.equal(first.current.id.text, "spiffe://paris/node/paris-1/nsmgr");
    assert.equal(statSync(file()).mode & 0o777, 0o600);
    assert.equal(existsSync(`${file()}.key`), false);
    await first[Symbol.asyncDispose]();
    const again = await open();
    assert.equal(again.current.chain[0]?.fingerprint256, first.current.chain[0]?.fingerprint256);
    await again[Symbol.asyncDispose]();
  });

  it("renews with a new key at half of its life, again and again", async () => {
    await invited();
    await using source = await open();
    const seen = new Set([source.current.chain[0]?.fingerprint256]);
    for (let turn = 1; turn <= 3; turn++) {
      const told = new Promise<void>((resolve) => void source.listen(resolve));
      await site.clock.advance(hour / 2);
      await told;
      seen.add(source.current.chain[0]?.fingerprint256);
      assert.equal(seen.size, turn + 1);
    }
  });

  it("asks the site's other registries while the one of its token is away: to join, to be renewed, and whom to trust", async () => {
    await invited();
    away = "first";
    await using source = await open();
    const first = source.current;
    const heard = (what: () => void) => {
      const told = new Promise<void>((resolve) => void source.listen(resolve));
      what();
      return told;
    };
    await heard(() => void site.clock.advance(hour / 2));
    assert.notEqual(source.current, first);
    await heard(() => site.trustAlso(new Map([["tokyo", site.authority.authorities]])));
    assert.ok(source.bundles.has("tokyo"));
  });

  it("trusts whom the site trusts, also when that changes between renewals, and still does after a restart", async () => {
    await invited();
    const source = await open();
    const first = source.current;
    const told = new Promise<void>((resolve) => void source.listen(resolve));
    site.trustAlso(new Map([["tokyo", site.authority.authorities]]));
    await told;
    assert.deepEqual([...source.bundles.keys()].sort(), ["paris", "tokyo"]);
    assert.equal(source.current, first);
    await source[Symbol.asyncDispose]();
    away = true;
    const again = await open();
    assert.deepEqual([...again.bundles.keys()].sort(), ["paris", "tokyo"]);
    away = false;
    const toldAgain = new Promise<void>((resolve) => void again.listen(resolve));
    site.trustAlso(new Map());
    await site.clock.advance(5_000);
    await toldAgain;
    assert.deepEqual([...again.bundles.keys()], ["paris"]);
    await again[Symbol.asyncDispose]();
  });

  it("comes back with the key that it kept when it was away for longer than its identity lasts", async () => {
    await invited();
    const first = await open();
    await first[Symbol.asyncDispose]();
    await site.clock.advance(3 * hour);
    await using again = await open();
    assert.ok(again.current.notAfter > site.clock.now());
  });

  it("is not taken back when its node has joined anew since, and does not get renewed", async () => {
    await invited();
    const source = await open();
    await site.join((await site.invite()).token);
    await failsWith(
      "denied",
      "has joined anew since, with another key",
      site.members.renew(
        { publicKey: spkiOf(generateKey().publicKey) },
        {
          id: source.current.id.text,
          publicKey: source.current.chain[0]?.publicKey ?? assert.fail(),
        },
      ),
    );
    await source[Symbol.asyncDispose]();
    await site.clock.advance(3 * hour);
    await failsWith("denied", "has joined anew since", open());
  });

  it("comes with another token when it is not taken back by what it kept", async () => {
    await invited();
    await (await open())[Symbol.asyncDispose]();
    await site.join((await site.invite()).token);
    await site.clock.advance(3 * hour);
    await failsWith("denied", "has joined anew since", open());
    await invited();
    await using again = await open();
    assert.ok(again.current.notAfter > site.clock.now());
  });

  it("does not push out who has joined anew while it was being renewed", async () => {
    const [before, { publicKey: owner }] = [generateKey().publicKey, generateKey()];
    await site.join((await site.invite()).token, before);
    const { token } = await site.invite();
    let first = true;
    const { store } = site;
    const slow: Pick<Store, "get" | "commit"> = {
      get: (key) => store.get(key),
      async commit(transaction) {
        if (first) {
          first = false;
          await site.join(token, owner);
        }
        return await store.commit(transaction);
      },
    };
    const members = new Members({ ...site.parts, store: slow as Store });
    const peer = { id: "spiffe://paris/node/paris-1/nsmgr", publicKey: before };
    await failsWith("denied", "has joined anew since", members.renew({ publicKey: spkiOf(generateKey().publicKey) }, peer));
    assert.match(idIn(await site.join(undefined, owner)), /nsmgr/);
  });

  it("waits for a registry that is away, as long as it is let", async () => {
    await invited();
    away = true;
    const stop = new AbortController();
    const late = open();
    const given = open(stop.signal);
    await site.clock.advance(1_000);
    stop.abort(new Error("told to stop"));
    await assert.rejects(given, /told to stop/);
    away = false;
    await site.clock.advance(5_000);
    await using source = await late;
    assert.match(source.current.id.text, /nsmgr$/);
  });

  it("says how to get a token when it has none, and refuses one that others can read", async () => {
    await failsWith("not-found", /no identity yet, and no join token: .* is not there; `nsmctl node invite NAME`/, open());
    writeFileSync(tokenFile(), "secret", { mode: 0o644 });
    await failsWith("denied", "others can read it", open());
  });

  it("goes on with what it has while it cannot be renewed", async () => {
    await invited();
    await using source = await open();
    const before = source.current;
    away = true;
    await site.clock.advance(hour / 2 + 60_000);
    assert.equal(source.current, before);
    away = false;
    await site.clock.advance(120_000);
    await until("it is renewed", 2_000, () => source.current !== before);
  });

  it("says that what it kept is damaged, and does not show it", async () => {
    await invited();
    await (await open())[Symbol.asyncDispose]();
    writeFileSync(file(), '{"key": "SECRET', { mode: 0o600 });
    const error = await failsWith("invalid", "is damaged", open());
    assert.doesNotMatch(`${error.message}${String(error.cause)}`, /SECRET/);
  });
});
