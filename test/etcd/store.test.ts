import { Etcd3 } from "etcd3";
import { silent } from "../../core/log.js";
import { systemClock } from "../../program/clock.js";
import { openEtcdStore } from "../../registry/etcd/store.js";
import { Etcd } from "../lib/etcd.js";
import { storeSuite } from "../suite/store.js";

describe("a store in etcd", function () {
  this.timeout(20_000);
  let etcd: Etcd;
  let client: Etcd3;
  let count = 0;
  before(async () => {
    etcd = await Etcd.start();
    client = new Etcd3({ hosts: etcd.urls });
  });
  after(async () => {
    client.close();
    await etcd[Symbol.asyncDispose]();
  });

  storeSuite("etcd", async () => {
    const prefix = `suite/${count++}/`;
    const store = await openEtcdStore({ endpoints: etcd.urls, prefix }, { clock: systemClock, log: silent });
    const made = Number((await client.get(`${prefix}format`).exec()).kvs[0]?.create_revision);
    return {
      store,
      pass: (ms) => systemClock.sleep(ms, AbortSignal.timeout(10_000)),
      compact: async (revision) => void (await client.kv.compact({ revision: made + revision })),
      [Symbol.asyncDispose]: async () => {
        await store[Symbol.asyncDispose]();
        // Leases that still run would count in the next test's revisions.
        await client.delete().prefix(prefix).exec();
      },
    };
  });
});
