import { silent } from "../../../core/log.js";
import { openMemoryStore } from "../../../registry/memory.js";
import { FakeClock } from "../../lib/fakeClock.js";
import { storeSuite } from "../../suite/store.js";
import { filler } from "./filler.js";

storeSuite("memory", async () => {
  const clock = new FakeClock();
  const store = openMemoryStore({ clock, log: silent, historyLimit: 100 });
  return {
    store,
    pass: (ms) => clock.advance(ms),
    compact: () => filler(store, 200),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
});
