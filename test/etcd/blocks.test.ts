import { Etcd3 } from "etcd3";
import { silent } from "../../core/log.js";
import { systemClock } from "../../program/clock.js";
import { openEtcdStore } from "../../registry/etcd/store.js";
import { Etcd } from "../lib/etcd.js";
import { type BlocksUnderTest, segmentBlocksSuite } from "../suite/segmentBlocks.js";
import { stickyNamesSuite } from "../suite/stickyNames.js";

describe("addresses of segments in etcd", function () {
  this.timeout(60_000);
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

  const create = async (): Promise<BlocksUnderTest> => {
    const prefix = `blocks/${count++}/`;
    const open = () => openEtcdStore({ endpoints: etcd.urls, prefix }, { clock: systemClock, log: silent });
    let store = await open();
    return {
      get store() {
        return store;
      },
      async crash() {
        await store[Symbol.asyncDispose]();
        store = await open();
      },
      async [Symbol.asyncDispose]() {
        await store[Symbol.asyncDispose]();
        await client.delete().prefix(prefix).exec();
      },
    };
  };

  segmentBlocksSuite("etcd", create);
  stickyNamesSuite("etcd", create);
});
