import assert from "node:assert/strict";
import { silent } from "../../../core/log.js";
import { noMeter } from "../../../core/meter.js";
import { measured } from "../../../registry/measured.js";
import { openMemoryStore } from "../../../registry/memory.js";
import { FakeClock } from "../../lib/fakeClock.js";
import { KeptMeter } from "../../lib/sinks.js";
import { storeSuite } from "../../suite/store.js";
import { filler } from "./filler.js";

storeSuite("memory, measured", async () => {
  const clock = new FakeClock();
  const store = measured(openMemoryStore({ clock, log: silent, historyLimit: 100 }), { meter: noMeter, clock });
  return {
    store,
    pass: (ms) => clock.advance(ms),
    compact: () => filler(store, 200),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
});

describe("a store that is measured", () => {
  it("tells of each operation how long it took and how it ended", async () => {
    const clock = new FakeClock();
    const meter = new KeptMeter();
    const slow = openMemoryStore({ clock, log: silent });
    const list = slow.list.bind(slow);
    slow.list = async (prefix) => {
      await clock.advance(30);
      return await list(prefix);
    };
    const store = measured(slow, { meter, clock });
    await store.list("");
    await store.commit({ writes: [{ op: "put", key: "a", value: new Uint8Array() }] });
    await assert.rejects(store.renew("nobody's"), { code: "not-found" });
    await store[Symbol.asyncDispose]();
    await assert.rejects(store.get("a"), { code: "unreachable" });
    assert.deepEqual(meter.told, [
      "isthmus_store_operation_duration_seconds{operation=list,code=ok} 0.03",
      "isthmus_store_operation_duration_seconds{operation=commit,code=ok} 0",
      "isthmus_store_operation_duration_seconds{operation=renew,code=not-found} 0",
      "isthmus_store_operation_duration_seconds{operation=get,code=unreachable} 0",
    ]);
  });
});
