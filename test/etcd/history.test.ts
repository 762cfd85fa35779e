import assert from "node:assert/strict";
import { silent } from "../../core/log.js";
import { systemClock } from "../../program/clock.js";
import { openLmdbStore } from "../../registry/lmdb.js";
import { openMemoryStore } from "../../registry/memory.js";
import type { Store } from "../../registry/store.js";
import { Etcd, type EtcdMember } from "../lib/etcd.js";
import { newFolder } from "../lib/folder.js";
import { type Random, seedOf } from "../lib/random.js";
import { runHistory, type World } from "../suite/history/run.js";
import { open } from "./kit.js";

const operations = 10_000;
const parts = { clock: systemClock, log: silent };
const seed = seedOf(process.env.ISTHMUS_TEST_SEED);
const pause = (ms: number) => systemClock.sleep(ms, AbortSignal.timeout(60_000));

/** Nothing can happen to it but readers that are too slow for its short history. */
async function memory(): Promise<World> {
  const store = openMemoryStore({ ...parts, historyLimit: 50 });
  return { store: () => store, faults: [() => pause(1_500)], [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() };
}

/** Closed under its clients' hands and opened again, three times. */
async function lmdb(): Promise<World> {
  const folder = newFolder();
  let store = openLmdbStore(folder.path, parts);
  const reopen = async (random: Random) => {
    await pause(500 + 1_000 * random());
    await store[Symbol.asyncDispose]();
    await pause(200 * random());
    store = openLmdbStore(folder.path, parts);
  };
  return {
    store: () => store,
    faults: [reopen, reopen, reopen],
    [Symbol.asyncDispose]: async () => {
      await store[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
}

/** Three members, three registries' stores; members are killed, and frozen for longer than the watchdog is patient. */
async function etcd(): Promise<World> {
  const cluster = await Etcd.start({ members: 3 });
  const stores: Store[] = [];
  for (let at = 0; at < 3; at++) stores.push(await open({ endpoints: [...cluster.urls.slice(at), ...cluster.urls.slice(0, at)] }));
  const one = (random: Random): EtcdMember => cluster.member(Math.floor(random() * 3));
  const kill = async (random: Random) => {
    const member = one(random);
    await member.kill();
    await pause(500 + 1_000 * random());
    await member.start();
    await pause(1_000);
  };
  const freeze = async (random: Random) => {
    const member = one(random);
    member.freeze();
    await pause(3_500);
    member.thaw();
    await pause(1_000);
  };
  return {
    store: (client) => stores[client % 3] as Store,
    faults: [() => pause(500), kill, freeze, kill, freeze],
    [Symbol.asyncDispose]: async () => {
      for (const store of stores) await store[Symbol.asyncDispose]();
      await cluster[Symbol.asyncDispose]();
    },
  };
}

describe("the history of a store under concurrent clients and faults", function () {
  this.timeout(120_000);
  for (const [name, create] of Object.entries({ memory, lmdb, etcd }))
    it(`has each acknowledged registration, one owner a name, and whole watches: ${name}, ISTHMUS_TEST_SEED=${seed}`, async () => {
      await using world = await create();
      const { wrong, ...report } = await runHistory(world, { seed, operations });
      console.log(`      ${name}: ${JSON.stringify(report)}`);
      assert.deepEqual(wrong.slice(0, 20), []);
      assert.ok(report.operations >= operations && report.commits > operations / 10, JSON.stringify(report));
    });
});
