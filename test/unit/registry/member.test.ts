import assert from "node:assert/strict";
import { existsSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { IssuedIdentity } from "../../../api/gen/isthmus/v1/identity.js";
import { MeshError } from "../../../core/error.js";
import { silent } from "../../../core/log.js";
import { type AuthorityClient, type Granted, openMember } from "../../../identity/ca/member.js";
import { parseDer } from "../../../identity/certificate.js";
import { Identity } from "../../../identity/identity.js";
import { generateKey, spkiOf } from "../../../identity/keys.js";
import { Members } from "../../../registry/admission/members.js";
import type { Store } from "../../../registry/store.js";
import { failsWith } from "../../lib/chainKit.js";
import { newFolder } from "../../lib/folder.js";
import { until } from "../../lib/until.js";
import { forever, hour, idIn, Site, url } from "./admissionWorld.js";

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
