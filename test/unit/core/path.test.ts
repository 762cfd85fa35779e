import assert from "node:assert/strict";
import type { Connection } from "../../../api/gen/connection/connection.js";
import { type Call, chain } from "../../../core/chain.js";
import { nextSegment, ownSegment, previousSegment, updatePath, withOwnMetrics } from "../../../core/path.js";
import { callOf, connection, counting, failsWith, pathText, segment, tailOf } from "../../lib/chainKit.js";

async function pass(conn: Connection, name = "nsmgr"): Promise<{ inside: Call; answer: Connection }> {
  const tail = tailOf();
  const answer = await chain([updatePath(name, counting("new"))], tail).request(callOf(conn));
  const [inside] = tail.requests;
  assert.ok(inside);
  return { inside, answer };
}

describe("updatePath", () => {
  it("starts a path with the connection's id", async () => {
    const { inside, answer } = await pass(connection({ id: "c1" }), "client");
    assert.equal(pathText(inside.connection), "[client/c1]");
    assert.equal(pathText(answer), "[client/c1]");
    assert.equal(inside.established, false);
  });

  it("makes an id where the path starts without one", async () => {
    const { inside } = await pass(connection({ id: "" }), "client");
    assert.equal(inside.connection.id, "new1");
    assert.equal(pathText(inside.connection), "[client/new1]");
  });

  it("appends itself behind the caller and gives the caller its id and index back", async () => {
    const { inside, answer } = await pass(connection({}, ["client/c1"]));
    assert.equal(pathText(inside.connection), "client/c1 [nsmgr/new1]");
    assert.equal(inside.connection.id, "new1");
    assert.equal(pathText(answer), "[client/c1] nsmgr/new1");
    assert.equal(answer.id, "c1");
  });

  it("keeps the id that it gave before, which makes the request a refresh", async () => {
    const { inside, answer } = await pass(connection({}, ["client/c1", "nsmgr/n1", "forwarder/f1"]));
    assert.equal(pathText(inside.connection), "client/c1 [nsmgr/n1] forwarder/f1");
    assert.equal(inside.established, true);
    assert.equal(answer.id, "c1");
  });

  it("takes the place of another program with a fresh id and without its token", async () => {
    const old = segment("old-nsmgr/n1", { token: "theirs", metrics: { seen: "1" } });
    const { inside } = await pass(connection({}, ["client/c1", old, "forwarder/f1"]));
    assert.equal(pathText(inside.connection), "client/c1 [nsmgr/new1] forwarder/f1");
    assert.equal(ownSegment(inside.connection).token, "");
    assert.deepEqual(ownSegment(inside.connection).metrics, {});
    assert.equal(inside.established, false);
  });

  it("stays where it is when the segment is its own already", async () => {
    const { inside } = await pass(connection({ id: "whatever" }, ["client/c1", "nsmgr/n1"]), "client");
    assert.equal(pathText(inside.connection), "[client/c1] nsmgr/n1");
    assert.equal(inside.connection.id, "c1");
    assert.equal(inside.established, true);
  });

  it("runs for a close too", async () => {
    const tail = tailOf();
    await chain([updatePath("nsmgr", counting("new"))], tail).close(callOf(connection({}, ["client/c1", "nsmgr/n1"])));
    assert.equal(tail.closes[0]?.connection.id, "n1");
  });

  it("gives random ids of its own", async () => {
    const tail = tailOf();
    const handler = chain([updatePath("nsmgr")], tail);
    for (let i = 0; i < 2; i++) await handler.request(callOf(connection({}, ["client/c1"])));
    const [one, two] = tail.requests;
    assert.match(one?.connection.id ?? "", /^[0-9a-f-]{36}$/);
    assert.notEqual(one?.connection.id, two?.connection.id);
  });

  it("keeps what it does not know in path and segments", async () => {
    const unknown = { 99: [new Uint8Array([1])] };
    const conn = connection({}, [segment("client/c1", { _unknownFields: unknown })]);
    const { inside } = await pass(conn);
    assert.deepEqual(previousSegment(inside.connection)?._unknownFields, unknown);
  });

  const refused: [string, Connection, string][] = [
    ["an index out of range", connection({ id: "c1" }, ["client/c1"], 1), "path index 1 is out of range: the path has 1 segments"],
    ["a negative index", connection({ id: "c1" }, ["client/c1"], -1), "path index -1 is out of range"],
    ["an id that is not the caller's", connection({ id: "c2" }, ["client/c1"]), '"c2" is not that of its path segment, "c1"'],
    ["an id that occurs twice", connection({}, ["client/c1", "nsmgr/c1"]), '"c1" is in the path twice'],
    ["a caller without an id", connection({}, ["client/"]), "path segment 0 has no id"],
  ];
  for (const [what, conn, words] of refused) it(`refuses ${what}`, () => failsWith("invalid", words, pass(conn)));

  it("refuses a path that goes in circles", async () => {
    const long = Array.from({ length: 64 }, (_, i) => `hop${i}/id${i}`);
    await failsWith("invalid", "circles", pass(connection({}, long, 63)));
  });
});

describe("path", () => {
  const conn = connection({}, ["client/c1", "nsmgr/n1", "forwarder/f1"], 1);

  it("finds the own segment and its neighbours", () => {
    assert.equal(previousSegment(conn)?.name, "client");
    assert.equal(ownSegment(conn).name, "nsmgr");
    assert.equal(nextSegment(conn)?.name, "forwarder");
    assert.equal(previousSegment(connection({}, ["client/c1"])), undefined);
    assert.equal(nextSegment(connection({}, ["client/c1"])), undefined);
  });

  it("adds metrics to the own segment alone", () => {
    const changed = withOwnMetrics(withOwnMetrics(conn, { a: "1" }), { b: "2" });
    assert.deepEqual(
      changed.path?.pathSegments.map(({ metrics }) => metrics),
      [{}, { a: "1", b: "2" }, {}],
    );
    assert.deepEqual(ownSegment(conn).metrics, {}, "the one before is as it was");
  });
});
