import assert from "node:assert/strict";
import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { open } from "lmdb";
import { silent } from "../../../core/log.js";
import { fromTimestamp } from "../../../core/timestamp.js";
import { openLmdbStore } from "../../../registry/lmdb.js";
import { Compacted } from "../../../registry/store.js";
import { FakeClock } from "../../lib/fakeClock.js";
import { newFolder } from "../../lib/folder.js";
import { at, by, endpoint, names, openSite, periodMs, reading, refused, type Site, service, serving } from "./site.js";

const alice = "spiffe://paris/node-1/alice";
const graceMs = 15_000;

describe("a registry that was started again", () => {
  let folder: ReturnType<typeof newFolder>;
  let clock: FakeClock;
  let site: Site;
  const openStore = () => openLmdbStore(folder.path, { clock, log: silent });
  const start = async () => {
    site = await openSite({ clock, store: openStore() });
  };
  const restart = async (downMs: number) => {
    await site[Symbol.asyncDispose]();
    await clock.advance(downMs);
    await start();
  };
  const find = () => names(site.endpoints.find(endpoint(""), { watch: false }, by(alice)));
  /** Lets time pass until `ms`, and what ends then be written. */
  const passed = async (ms: number, end: string) => {
    const watch = reading(site.endpoints.find(endpoint(end), { watch: true }, by(alice)));
    assert.equal(await watch.next(), `+${end}`);
    await clock.advance(ms);
    assert.equal(await watch.next(), `-${end}`);
  };

  beforeEach(async () => {
    folder = newFolder();
    clock = new FakeClock();
    await start();
  });
  afterEach(async () => {
    await site[Symbol.asyncDispose]();
    folder[Symbol.dispose]();
  });

  it("knows everything that it acknowledged, as it was", async () => {
    await site.services.register(service("db"), by(alice));
    const stored = await site.endpoints.register(serving("e", "db", { colour: "red" }), by(alice));
    await restart(1_000);
    assert.deepEqual(site.counts(), { networkServices: 1, endpoints: 1 });
    const query = endpoint("", { networkServiceLabels: { db: { labels: { colour: "red" } } } });
    for await (const { value } of site.endpoints.find(query, { watch: false }, by(alice))) {
      assert.deepEqual(value.pathIds, stored.pathIds);
      assert.equal(fromTimestamp(value.expirationTime ?? at(0)), fromTimestamp(stored.expirationTime ?? at(0)));
    }
  });

  it("forgets what was unregistered", async () => {
    await site.endpoints.register(serving("e", "db"), by(alice));
    await site.endpoints.unregister(endpoint("e"), by(alice));
    await restart(0);
    assert.deepEqual(await find(), []);
  });

  it("lets an endpoint end when it was to end", async () => {
    await site.endpoints.register(serving("e", "db"), by(alice));
    await restart(20_000);
    await clock.advance(periodMs - 20_000 - 100);
    assert.deepEqual(await find(), ["e"]);
    await passed(300, "e");
  });

  it("gives a grace to what ended while it was down, and says so in its time", async () => {
    await site.endpoints.register(serving("e", "db"), by(alice));
    await restart(600_000);
    for await (const { value } of site.endpoints.find(endpoint("e"), { watch: false }, by(alice)))
      assert.equal(fromTimestamp(value.expirationTime ?? at(0)), clock.now() + graceMs);
    await clock.advance(graceMs - 100);
    assert.deepEqual(await find(), ["e"]);
    await passed(300, "e");
    await restart(0);
    assert.deepEqual(await find(), []);
  });

  it("keeps what is registered again during the grace", async () => {
    await site.endpoints.register(serving("e", "db"), by(alice));
    await restart(600_000);
    await clock.advance(graceMs - 1_000);
    await site.endpoints.register(serving("e", "db"), by(alice));
    await clock.advance(periodMs - 1_000);
    assert.deepEqual(await find(), ["e"]);
  });

  it("gives what was to end soon the same grace, and what lives shortly no more than its life", async () => {
    await site.endpoints.register(serving("soon", "db"), by(alice));
    await site.endpoints.register({ ...serving("short", "db"), expirationTime: at(clock.now() + 5_000) }, by(alice));
    await restart(periodMs - 1_000);
    await passed(5_100, "short");
    await clock.advance(graceMs - 5_200);
    assert.deepEqual(await find(), ["soon"]);
    await passed(300, "soon");
  });

  it("keeps nothing for longer than its life when the clock was put back", async () => {
    await site.endpoints.register(serving("e", "db"), by(alice));
    await site[Symbol.asyncDispose]();
    clock = new FakeClock(clock.now() - 86_400_000);
    await start();
    await clock.advance(periodMs - 100);
    assert.deepEqual(await find(), ["e"]);
    await passed(300, "e");
  });

  it("goes on counting revisions, and has no history from before", async () => {
    await site.endpoints.register(serving("a", "db"), by(alice));
    await site.endpoints.register(serving("b", "db"), by(alice));
    const before = (await site.store.list("")).revision;
    await restart(0);
    const { revision } = await site.store.list("");
    assert.equal(revision, before);
    const old = site.store.watch("", { after: before - 1, signal: AbortSignal.timeout(1_000) })[Symbol.asyncIterator]();
    await assert.rejects(old.next(), (error) => error instanceof Compacted && error.oldest === before);
  });

  it("shares its folder with no other process, and gives it back", async () => {
    await refused("exists", openStore, new RegExp(`is used by process ${process.pid}; .* NSM_STATE_DIR`));
    await restart(0);
  });

  it("keeps its data where only its user can read it", () => {
    assert.equal(statSync(join(folder.path, "store")).mode & 0o777, 0o700);
  });

  it("says what is wrong with a folder that it cannot use", async () => {
    const file = join(folder.path, "file");
    writeFileSync(file, "");
    await refused("invalid", () => openLmdbStore(file, { clock, log: silent }), /cannot keep a store in .*file.*NSM_STATE_DIR/);
  });

  it("does not touch a store of another format", async () => {
    const other = join(folder.path, "other");
    const root = open({ path: join(other, "store"), maxDbs: 8 });
    await root.openDB({ name: "facts" }).put("format", 2);
    await root.close();
    await refused("invalid", () => openLmdbStore(other, { clock, log: silent }), /has format 2, this program knows 1/);
  });
});
