import assert from "node:assert/strict";
import fc from "fast-check";
import { Connection } from "../../../api/gen/connection/connection.js";
import { withContext } from "../../../core/context.js";
import { sameMessage } from "../../../core/equal.js";
import { MultiMap } from "../../../core/multiMap.js";
import { RecentIds } from "../../../core/recentIds.js";
import { fromTimestamp, toTimestamp } from "../../../core/timestamp.js";
import { connection } from "../../lib/chainKit.js";

describe("sameMessage", () => {
  it("does not mind whether a message crossed the wire", () => {
    const conn = withContext(connection({ labels: { b: "1", a: "2" } }, ["client/c1"]), { MTU: 5 });
    const crossed = Connection.decode(Connection.encode(conn).finish());
    assert.ok(sameMessage(conn, crossed));
    assert.ok(sameMessage(crossed, { ...conn, labels: { a: "2", b: "1" } }));
  });

  it("sees what differs, also in what it does not know", () => {
    const conn = connection({}, ["client/c1"]);
    assert.ok(!sameMessage(conn, { ...conn, payload: "IP" }));
    assert.ok(!sameMessage(conn, { ...conn, _unknownFields: { 99: [new Uint8Array([1])] } }));
    assert.ok(!sameMessage({ a: [new Uint8Array([1])] }, { a: [new Uint8Array([2])] }));
    assert.ok(sameMessage({ a: [new Uint8Array([1])] }, { a: [new Uint8Array([1])] }));
    assert.ok(!sameMessage({ a: [1, 2] }, { a: [1] }));
    assert.ok(!sameMessage(undefined, {}));
    assert.ok(!sameMessage([], {}));
  });

  it("is the same as itself and as its copy", () => {
    fc.assert(fc.property(fc.jsonValue(), (value) => sameMessage(value, structuredClone(value))));
  });
});

describe("timestamps", () => {
  it("go to the wire and back", () => {
    assert.deepEqual(toTimestamp(1_700_000_000_123), { seconds: 1_700_000_000, nanos: 123_000_000 });
    fc.assert(fc.property(fc.integer({ min: 0, max: 4_000_000_000_000 }), (ms) => fromTimestamp(toTimestamp(ms)) === ms));
  });
});

describe("MultiMap", () => {
  it("keeps several values per key, and no key without any", () => {
    const map = new MultiMap<string, number>();
    map.add("a", 1);
    map.add("a", 2);
    map.add("a", 2);
    assert.deepEqual([...map.get("a")], [1, 2]);
    map.delete("a", 1);
    map.delete("a", 2);
    map.delete("b", 1);
    assert.equal(map.get("a").size, 0);
  });
});

describe("RecentIds", () => {
  it("forgets the oldest first", () => {
    const ids = new RecentIds(2);
    for (const id of ["a", "b", "a", "c"]) ids.add(id);
    assert.deepEqual(
      ["a", "b", "c"].map((id) => ids.has(id)),
      [true, false, true],
    );
    ids.delete("a");
    assert.equal(ids.has("a"), false);
  });
});
