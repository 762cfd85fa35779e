import { silent } from "../../../../core/log.js";
import { openLmdbStore } from "../../../../registry/lmdb.js";
import { openMemoryStore } from "../../../../registry/memory.js";
import { FakeClock } from "../../../lib/fakeClock.js";
import { newFolder } from "../../../lib/folder.js";
import { type BlocksUnderTest, segmentBlocksSuite } from "../../../suite/segmentBlocks.js";
import { stickyNamesSuite } from "../../../suite/stickyNames.js";

async function inMemory(): Promise<BlocksUnderTest> {
  const store = openMemoryStore({ clock: new FakeClock(), log: silent });
  // It ends with its process, so nothing of it is opened again.
  return { store, crash: async () => {}, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() };
}

async function inLmdb(): Promise<BlocksUnderTest> {
  const folder = newFolder();
  const open = () => openLmdbStore(folder.path, { clock: new FakeClock(), log: silent });
  let store = open();
  return {
    get store() {
      return store;
    },
    async crash() {
      await store[Symbol.asyncDispose]();
      store = open();
    },
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
}

for (const suite of [segmentBlocksSuite, stickyNamesSuite]) {
  suite("memory", inMemory);
  suite("lmdb", inLmdb);
}
