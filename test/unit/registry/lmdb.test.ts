import { silent } from "../../../core/log.js";
import { openLmdbStore } from "../../../registry/lmdb.js";
import { FakeClock } from "../../lib/fakeClock.js";
import { newFolder } from "../../lib/folder.js";
import { storeSuite } from "../../suite/store.js";
import { filler } from "./filler.js";

storeSuite("lmdb", async () => {
  const clock = new FakeClock();
  const folder = newFolder();
  const store = openLmdbStore(folder.path, { clock, log: silent, historyLimit: 100 });
  return {
    store,
    pass: (ms) => clock.advance(ms),
    compact: () => filler(store, 200),
    [Symbol.asyncDispose]: async () => {
      await store[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
});
