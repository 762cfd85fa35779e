import assert from "node:assert/strict";
import { createServer } from "node:net";
import { MeshError } from "../../core/error.js";
import { systemClock } from "../../program/clock.js";
import { fenced } from "../../registry/fenced.js";
import { Etcd } from "../lib/etcd.js";
import { refused } from "../unit/registry/site.js";
import { leaderOf, open, put, Reader, recorder, took } from "./kit.js";

/** The contract's bound for a request that can be answered, and for a frozen member to be noticed. */
const boundMs = 5_000;

describe("a store in an etcd of three members", function () {
  this.timeout(60_000);
  let etcd: Etcd;
  beforeEach(async () => {
    etcd = await Etcd.start({ members: 3 });
  });
  afterEach(() => etcd[Symbol.asyncDispose]());

  const write = (store: Awaited<ReturnType<typeof open>>, key: string, value = "") => fenced(store, key, () => put(key, value));

  it("leaves a frozen member within 5 s, and its watches go on at another", async () => {
    const { log, lines } = recorder();
    await using store = await open({ endpoints: etcd.urls }, log);
    await using other = await open({ endpoints: etcd.urls.slice(1) });
    await write(store, "a", "before");
    await using reader = new Reader(store, "", 0);
    await reader.until("put a=before");
    etcd.member(0).freeze();
    await write(other, "a", "while it is frozen");
    assert.ok((await took(() => reader.until("put a=while it is frozen"))) < boundMs);
    assert.deepEqual(reader.lines, ["put a=before", "put a=while it is frozen"]);
    assert.ok((await took(() => write(store, "b"))) < boundMs);
    const said = lines.filter((line) => /etcd member (answers|left)/.test(line));
    assert.deepEqual(
      said.map((line) => [line.split(" ").slice(0, 4).join(" "), etcd.urls.find((url) => line.includes(`"member":"${url}"`))]),
      [
        ["info etcd member answers", etcd.urls[0]],
        ["warn etcd member left", etcd.urls[0]],
        ["info etcd member answers", etcd.urls[1]],
      ],
    );
    etcd.member(0).thaw();
  });

  it("answers a write within 5 s when its member freezes under it", async () => {
    await using store = await open({ endpoints: etcd.urls });
    etcd.member(0).freeze();
    assert.ok((await took(() => write(store, "a"))) < boundMs);
    etcd.member(0).thaw();
  });

  it("loses nothing that was acknowledged when the leader is killed, and answers within 5 s", async () => {
    const { leader } = await leaderOf(etcd);
    await using store = await open({ endpoints: [leader.url, ...etcd.urls.filter((url) => url !== leader.url)] });
    await using reader = new Reader(store, "", 0);
    const acknowledged: string[] = [];
    const writer = async (from: number) => {
      for (let at = from; at < from + 50; at++) {
        const ms = await took(() => write(store, `k${at}`, "x"));
        assert.ok(ms < boundMs, `k${at} took ${ms} ms`);
        acknowledged.push(`k${at}`);
        if (acknowledged.length === 40) await leader.kill();
      }
    };
    await Promise.all([0, 100, 200].map(writer));
    const { entries, revision } = await store.list("k");
    const listed = entries.map(({ key }) => key);
    assert.deepEqual(
      acknowledged.filter((key) => !listed.includes(key)),
      [],
    );
    await write(store, "last", "one");
    await reader.until("put last=one");
    // Each revision was told once and in order, over the change of members.
    assert.deepEqual(
      reader.revisions,
      [...new Set(reader.revisions)].sort((a, b) => a - b),
    );
    assert.equal(reader.lines.length, revision + 1);
  });

  it("says so while most members are gone, and goes on with all it had when they are back", async () => {
    await using store = await open({ endpoints: etcd.urls });
    await write(store, "kept", "1");
    await etcd.member(1).kill();
    await etcd.member(2).kill();
    await refused("unreachable", () => store.commit({ writes: [put("a")] }), /etcd at .* does not answer/);
    await Promise.all([etcd.member(1).start(), etcd.member(2).start()]);
    assert.ok((await took(() => write(store, "a"))) < boundMs);
    assert.equal((await store.get("kept"))?.revision, 1);
  });

  it("tells of a lease that ended while most members were gone, or keeps its keys; a new one works", async () => {
    await using store = await open({ endpoints: etcd.urls });
    const lease = await store.grant(2_000);
    await store.commit({ writes: [put("a", "1", lease)] });
    await etcd.member(1).kill();
    await etcd.member(2).kill();
    await systemClock.sleep(5_000, AbortSignal.timeout(10_000));
    await Promise.all([etcd.member(1).start(), etcd.member(2).start()]);
    const renewed = await store.renew(lease).then(
      () => true,
      (error: unknown) => {
        assert.ok(error instanceof MeshError && error.code === "not-found", String(error));
        return false;
      },
    );
    assert.equal((await store.get("a")) !== undefined, renewed);
    const again = await store.grant(2_000);
    await store.commit({ writes: [put("a", "2", again)] });
    assert.equal((await store.get("a"))?.lease, again);
    await using reader = new Reader(store, "", (await store.list("")).revision);
    await reader.until("delete a");
    await refused("not-found", () => store.renew(again), /has ended; grant a new one/);
  });
});

describe("a store in an etcd of one member", function () {
  this.timeout(40_000);
  let etcd: Etcd;
  beforeEach(async () => {
    etcd = await Etcd.start();
  });
  afterEach(() => etcd[Symbol.asyncDispose]());

  it("has a deadline on everything when the member is frozen", async () => {
    await using store = await open({ endpoints: etcd.urls });
    const lease = await store.grant(60_000);
    etcd.member(0).freeze();
    const calls = {
      get: () => store.get("a"),
      list: () => store.list(""),
      commit: () => store.commit({ writes: [put("a")] }),
      grant: () => store.grant(1_000),
      renew: () => store.renew(lease),
      revoke: () => store.revoke(lease),
    };
    const waited = await Promise.all(Object.values(calls).map((call) => took(() => refused("unreachable", call, /does not answer/))));
    assert.ok(Math.max(...waited) < 7_000, waited.join(", "));
    etcd.member(0).thaw();
    await store.commit({ writes: [put("a")] });
  });

  it("goes on when the member is back, with its watches", async () => {
    await using store = await open({ endpoints: etcd.urls });
    await store.commit({ writes: [put("a", "1")] });
    await using reader = new Reader(store, "", 0);
    await reader.until("put a=1");
    await etcd.member(0).kill();
    await etcd.member(0).start();
    await fenced(store, "a", () => put("a", "2"));
    await reader.until("put a=2");
    assert.deepEqual(reader.lines, ["put a=1", "put a=2"]);
  });

  it("connects no more once it is closed, also when it was watching a member that is gone", async () => {
    const store = await open({ endpoints: etcd.urls });
    const reader = new Reader(store, "", 0);
    await store.commit({ writes: [put("a", "1")] });
    await reader.until("put a=1");
    await etcd.member(0).kill();
    await store[Symbol.asyncDispose]();
    await reader[Symbol.asyncDispose]();
    let connections = 0;
    const server = createServer(() => connections++).listen(Number(new URL(etcd.urls[0] ?? "").port), "127.0.0.1");
    await systemClock.sleep(1_500, AbortSignal.timeout(5_000));
    server.close();
    assert.equal(connections, 0);
  });

  it("is told as a new history when somebody removes it, and can be used again", async () => {
    const { log, lines } = recorder();
    await using store = await open({ endpoints: etcd.urls }, log);
    const { revision } = await store.commit({ writes: [put("a", "1")] });
    await using reader = new Reader(store, "", revision);
    await etcd.ctl("del", "--prefix", "isthmus/");
    await reader.until("Compacted: the store's history starts after revision 1099511627776, not at 2; list again and watch from there");
    assert.ok(lines.some((line) => line.startsWith("warn store in etcd was made anew")));
    const now = await store.list("");
    assert.deepEqual([now.entries, now.revision > revision], [[], true]);
    assert.equal((await store.commit({ conditions: [{ key: "a", revision }], writes: [put("a", "2")] })).ok, false);
    assert.equal((await store.commit({ conditions: [{ key: "a", revision: 0 }], writes: [put("a", "2")] })).ok, true);
  });
});

describe("several registries' stores in one etcd", function () {
  this.timeout(20_000);
  it("see each other's writes, and let one of two win", async () => {
    await using etcd = await Etcd.start();
    const stores = await Promise.all([0, 1].map(() => open({ endpoints: etcd.urls })));
    const [one, two] = stores as [Awaited<ReturnType<typeof open>>, Awaited<ReturnType<typeof open>>];
    assert.equal(one.abilities.shared, true);
    await using reader = new Reader(two, "", 0);
    await one.commit({ writes: [put("a", "from one")] });
    await reader.until("put a=from one");
    assert.equal((await two.get("a"))?.revision, (await one.get("a"))?.revision);
    const adding = (store: typeof one) => fenced(store, "n", (found) => put("n", `${Number(found?.value ?? 0) + 1}`));
    for (let round = 0; round < 20; round++) await Promise.all([adding(one), adding(two)]);
    assert.equal(`${(await one.get("n"))?.value}`, "40");
    for (const store of stores) await store[Symbol.asyncDispose]();
  });
});
