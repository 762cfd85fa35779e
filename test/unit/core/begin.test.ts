import assert from "node:assert/strict";
import type { Connection } from "../../../api/gen/connection/connection.js";
import { type Begin, begin } from "../../../core/begin.js";
import { type Call, chain, type Handler } from "../../../core/chain.js";
import { withContext } from "../../../core/context.js";
import { MeshError } from "../../../core/error.js";
import { silent } from "../../../core/log.js";
import { updatePath } from "../../../core/path.js";
import { DOWN, RESELECT_REQUESTED, UP } from "../../../core/states.js";
import { callOf, connection, counting, deferred, failsWith, mechanism, pathText, segment, settled, tailOf } from "../../lib/chainKit.js";

type Tail = ReturnType<typeof tailOf>;

/** One hop named nsmgr: path and begin in front of a tail that appends a next hop. */
function hop(answer: (call: Call) => Promise<Connection> | Connection = throughForwarder): { begun: Begin; handler: Handler; tail: Tail } {
  const tail = tailOf(answer);
  const begun = begin({ log: silent });
  return { begun, tail, handler: chain([updatePath("nsmgr", counting("n")), begun], tail) };
}

function throughForwarder({ connection: conn }: Call): Connection {
  const path = conn.path ?? { index: 0, pathSegments: [] };
  if (path.pathSegments.length > path.index + 1) return conn;
  return { ...conn, path: { ...path, pathSegments: [...path.pathSegments, segment("forwarder/f1")] } };
}

const fromClient = (part: Partial<Connection> = {}) => connection(part, ["client/c1"]);

describe("begin", () => {
  it("answers state UP, whatever was asked", async () => {
    const { handler, begun } = hop();
    const answer = await handler.request(callOf(fromClient({ state: RESELECT_REQUESTED })));
    assert.equal(answer.state, UP);
    assert.equal(begun.current("n1")?.state, UP);
    assert.equal(pathText(begun.list()[0] ?? answer), "client/c1 [nsmgr/n1] forwarder/f1");
  });

  it("passes a reselect on to whoever can choose", async () => {
    const { handler, tail } = hop();
    const answer = await handler.request(callOf(fromClient()));
    await handler.request(callOf({ ...answer, state: RESELECT_REQUESTED }));
    assert.equal(tail.requests[1]?.connection.state, RESELECT_REQUESTED);
    assert.equal(tail.closes.length, 0);
  });

  it("runs requests and closes of one connection one at a time, in order", async () => {
    const lines: string[] = [];
    const gates = [deferred(), deferred()];
    const { handler } = hop(async (call) => {
      const n = lines.filter((line) => line.startsWith("request")).length;
      lines.push(`request ${n}`);
      await gates[n]?.promise;
      lines.push(`answer ${n}`);
      return call.connection;
    });
    const known = connection({}, ["client/c1", "nsmgr/n9"]);
    const first = handler.request(callOf(known));
    const second = handler.request(callOf(known));
    const closed = handler.close(callOf(known)).then(() => lines.push("closed"));
    await settled();
    assert.deepEqual(lines, ["request 0"]);
    gates[0]?.resolve();
    await first;
    await settled();
    assert.deepEqual(lines, ["request 0", "answer 0", "request 1"]);
    gates[1]?.resolve();
    await Promise.all([second, closed]);
    assert.deepEqual(lines.slice(-2), ["answer 1", "closed"]);
  });

  it("lets connections run beside one another", async () => {
    const gate = deferred();
    const { handler } = hop(async (call) => {
      if (call.connection.path?.pathSegments[0]?.id === "slow") await gate.promise;
      return call.connection;
    });
    const slow = handler.request(callOf(connection({}, ["client/slow"])));
    await handler.request(callOf(connection({}, ["client/fast"])));
    gate.resolve();
    await slow;
  });

  it("does not run a request whose caller has gone while it waited", async () => {
    const gate = deferred();
    const { handler, tail } = hop(async (call) => {
      await gate.promise;
      return call.connection;
    });
    const patience = new AbortController();
    const known = connection({}, ["client/c1", "nsmgr/n9"]);
    const first = handler.request(callOf(known));
    const second = handler.request(callOf(known, { signal: patience.signal }));
    patience.abort();
    gate.resolve();
    await first;
    await failsWith("cancelled", "went away", second);
    assert.equal(tail.requests.length, 1);
  });

  it("forgets a first request that failed", async () => {
    const { handler, begun } = hop(() => Promise.reject(new MeshError("no-endpoint", "nobody")));
    await failsWith("no-endpoint", "nobody", handler.request(callOf(fromClient())));
    assert.deepEqual(begun.list(), []);
  });

  it("keeps a connection whose refresh failed", async () => {
    let fail = false;
    const { handler, begun, tail } = hop((call) => {
      if (fail) throw new MeshError("unreachable", "gone");
      return throughForwarder(call);
    });
    const answer = await handler.request(callOf(fromClient()));
    fail = true;
    await failsWith("unreachable", "gone", handler.request(callOf(answer)));
    assert.equal(begun.list().length, 1);
    assert.equal(tail.closes.length, 0);
  });

  it("says of a refresh that the connection is established, also when it has forgotten it", async () => {
    const { handler, tail } = hop();
    await handler.request(callOf(fromClient()));
    await handler.request(callOf(connection({}, ["client/c2", "nsmgr/n7", "forwarder/f7"])));
    assert.deepEqual(
      tail.requests.map(({ established }) => established),
      [false, true],
    );
  });

  it("says of one that it has closed itself that it is not", async () => {
    const { handler, tail } = hop();
    const answer = await handler.request(callOf(fromClient()));
    await handler.close(callOf(answer));
    await handler.request(callOf({ ...answer, state: RESELECT_REQUESTED }));
    assert.equal(tail.requests[1]?.established, false);
  });

  it("refuses a connection without an id", async () => {
    await failsWith("invalid", "no id", chain([begin({ log: silent })]).request(callOf(connection({ id: "" }))));
  });
});

describe("begin, merging", () => {
  const endpointOf = (call: Call | undefined) => call?.connection.networkServiceEndpointName;

  async function healed(): Promise<{ handler: Handler; tail: Tail; answer: Connection }> {
    const { handler, begun, tail } = hop();
    const answer = await handler.request(callOf(withContext(fromClient({ networkServiceEndpointName: "nse-1" }), { MTU: 1400 })));
    await begun.again("n1", (call) => ({
      ...call,
      connection: withContext(
        {
          ...call.connection,
          networkServiceEndpointName: "nse-2",
          path: { index: 1, pathSegments: [...(call.connection.path?.pathSegments.slice(0, 2) ?? []), segment("forwarder/f2")] },
        },
        { MTU: 1300 },
      ),
    }));
    return { handler, tail, answer };
  }

  it("does not undo what changed here when the caller repeats its answer", async () => {
    const { handler, tail, answer } = await healed();
    const after = await handler.request(callOf(answer));
    const [, , asked] = tail.requests;
    assert.equal(endpointOf(asked), "nse-2");
    assert.equal(asked?.connection.context?.MTU, 1300);
    assert.equal(pathText(asked?.connection ?? answer), "client/c1 [nsmgr/n1] forwarder/f2");
    assert.equal(after.networkServiceEndpointName, "nse-2");
  });

  it("compares what crossed the wire with what did not", async () => {
    const { handler, tail, answer } = await healed();
    const decoded = { ...answer, context: answer.context && { ...answer.context, _unknownFields: {} } };
    await handler.request(callOf(decoded));
    assert.equal(tail.requests[2]?.connection.context?.MTU, 1300);
  });

  it("does what the caller changed", async () => {
    const { handler, tail, answer } = await healed();
    await handler.request(callOf(withContext({ ...answer, networkServiceEndpointName: "nse-3" }, { MTU: 1200 })));
    assert.equal(endpointOf(tail.requests[2]), "nse-3");
    assert.equal(tail.requests[2]?.connection.context?.MTU, 1200);
  });

  it("takes the caller's newest tokens, labels and mechanism", async () => {
    const { handler, tail, answer } = await healed();
    const pathSegments = answer.path?.pathSegments.map((each, i) => (i === 0 ? { ...each, token: "newer" } : each)) ?? [];
    const asked = { ...answer, path: { index: 0, pathSegments }, labels: { app: "web" }, mechanism: mechanism("KERNEL") };
    await handler.request(callOf(asked));
    const conn = tail.requests[2]?.connection;
    assert.equal(conn?.path?.pathSegments[0]?.token, "newer");
    assert.deepEqual(conn?.labels, { app: "web" });
    assert.equal(conn?.mechanism?.type, "KERNEL");
  });

  it("keeps the preferences of before where a refresh has none", async () => {
    const { handler, tail } = hop();
    const preferences = [mechanism("KERNEL")];
    const answer = await handler.request(callOf(fromClient(), { preferences }));
    await handler.request(callOf(answer));
    assert.deepEqual(tail.requests[1]?.preferences, preferences);
  });
});

describe("begin, closing", () => {
  it("closes with what it holds, the way that the last request went", async () => {
    const { handler, begun, tail } = hop();
    await handler.request(callOf(fromClient()));
    await begun.again("n1", (call) => ({ ...call, connection: { ...call.connection, networkServiceEndpointName: "nse-2" } }));
    await handler.close(callOf(connection({}, ["client/c1", "nsmgr/n1"])));
    assert.equal(pathText(tail.closes[0]?.connection ?? fromClient()), "client/c1 [nsmgr/n1] forwarder/f1");
    assert.equal(tail.closes[0]?.connection.networkServiceEndpointName, "nse-2");
    assert.deepEqual(begun.list(), []);
  });

  it("closes once, and answers a second close with success", async () => {
    const { handler, tail } = hop();
    const answer = await handler.request(callOf(fromClient()));
    await Promise.all([handler.close(callOf(answer)), handler.close(callOf(answer))]);
    assert.equal(tail.closes.length, 1);
  });

  it("passes on the close of a connection that an earlier run of the program had", async () => {
    const { handler, tail } = hop();
    await handler.close(callOf(connection({}, ["client/c1", "nsmgr/n9", "forwarder/f9"])));
    assert.equal(pathText(tail.closes[0]?.connection ?? fromClient()), "client/c1 [nsmgr/n9] forwarder/f9");
  });

  it("succeeds for an unknown connection when nothing is there behind it either", async () => {
    const { handler, tail } = hop();
    tail.close = () => Promise.reject(new MeshError("no-endpoint", "nobody"));
    await handler.close(callOf(connection({}, ["client/c1", "nsmgr/n9", "forwarder/f9"])));
  });

  it("says when it could not reach the next hop, and passes the next try on again", async () => {
    const { handler, tail, begun } = hop();
    const answer = await handler.request(callOf(fromClient()));
    const reach = tail.close;
    tail.close = () => Promise.reject(new MeshError("unreachable", "no route"));
    await failsWith("unreachable", "no route", handler.close(callOf(answer)));
    assert.deepEqual(begun.list(), []);
    tail.close = reach;
    await handler.close(callOf(answer));
    assert.equal(tail.closes.length, 1);
  });

  it("runs to its end when the caller has gone", async () => {
    const { handler, tail } = hop();
    const answer = await handler.request(callOf(fromClient()));
    await handler.close(callOf(answer, { signal: AbortSignal.abort() }));
    assert.equal(tail.closes[0]?.signal.aborted, false);
  });

  it("ignores a former caller after the connection went to another one", async () => {
    const { handler, tail, begun } = hop();
    const old = await handler.request(callOf(fromClient()));
    const behind = old.path?.pathSegments.slice(1) ?? [];
    await handler.request(callOf(connection({}, ["other/o1", ...behind])));
    await handler.close(callOf(old));
    assert.equal(tail.closes.length, 0);
    assert.equal(begun.list().length, 1);
  });
});

describe("begin, callers that give up or forget", () => {
  it("undoes a first request that succeeds after its caller has gone", async () => {
    const patience = new AbortController();
    const { handler, tail, begun } = hop((call) => {
      patience.abort();
      return throughForwarder(call);
    });
    await failsWith("cancelled", "went away", handler.request(callOf(fromClient(), { signal: patience.signal })));
    assert.equal(pathText(tail.closes[0]?.connection ?? fromClient()), "client/c1 [nsmgr/n1] forwarder/f1");
    assert.equal(tail.closes[0]?.signal.aborted, false);
    assert.deepEqual(begun.list(), []);
  });

  it("keeps a refresh that succeeds after its caller has gone", async () => {
    const patience = new AbortController();
    const { handler, tail, begun } = hop();
    const answer = await handler.request(callOf(fromClient()));
    const request = handler.request(callOf(answer, { signal: patience.signal }));
    await Promise.resolve();
    patience.abort();
    await request.catch(() => {});
    assert.equal(tail.closes.length, 0);
    assert.equal(begun.list().length, 1);
  });

  it("closes what the caller had when it comes again without remembering it, before the new one is made", async () => {
    const lines: string[] = [];
    const { handler, tail, begun } = hop((call) => {
      lines.push(`request ${call.connection.id}`);
      return throughForwarder(call);
    });
    tail.close = async (call) => void lines.push(`close ${call.connection.id}`);
    await handler.request(callOf(fromClient()));
    await handler.request(callOf(fromClient()));
    assert.deepEqual(lines, ["request n1", "close n1", "request n2"]);
    assert.deepEqual(
      begun.list().map(({ id }) => id),
      ["n2"],
    );
  });

  it("leaves another client's connection alone that has the same id", async () => {
    const { handler, begun } = hop();
    await handler.request(callOf(connection({}, ["client-1/c1"])));
    await handler.request(callOf(connection({}, ["client-2/c1"])));
    assert.equal(begun.list().length, 2);
  });

  it("finds the connection for a caller that never got the answer with our id", async () => {
    const { handler, tail, begun } = hop();
    await handler.request(callOf(fromClient()));
    await handler.close(callOf(fromClient()));
    assert.equal(tail.closes[0]?.connection.id, "n1");
    assert.deepEqual(begun.list(), []);
  });

  it("closes by the id that the caller names, not by what it has now", async () => {
    const { handler, begun } = hop();
    const old = await handler.request(callOf(fromClient()));
    await handler.request(callOf(fromClient()));
    await handler.close(callOf(old));
    assert.deepEqual(
      begun.list().map(({ id }) => id),
      ["n2"],
    );
  });
});

describe("begin, from inside", () => {
  it("asks again with the last connection, preferences and caller", async () => {
    const { handler, begun, tail } = hop();
    const caller = { token: "t", expires: 1 };
    await handler.request(callOf(fromClient({ networkServiceEndpointName: "nse-1" }), { preferences: [mechanism("KERNEL")], caller }));
    await begun.again("n1");
    const [, again] = tail.requests;
    assert.equal(again?.connection.networkServiceEndpointName, "nse-1");
    assert.equal(again?.preferences[0]?.type, "KERNEL");
    assert.deepEqual(again?.caller, caller);
    assert.equal(again?.established, true);
  });

  it("asks again behind a request that runs", async () => {
    const gate = deferred();
    const lines: string[] = [];
    const { handler, begun } = hop(async (call) => {
      lines.push(`${lines.length + 1}`);
      await gate.promise;
      return throughForwarder(call);
    });
    const first = handler.request(callOf(connection({}, ["client/c1", "nsmgr/n9"])));
    const again = begun.again("n9");
    await settled();
    assert.deepEqual(lines, ["1"]);
    gate.resolve();
    await Promise.all([first, again]);
    assert.deepEqual(lines, ["1", "2"]);
  });

  it("does not ask again for what was closed meanwhile", async () => {
    const { handler, begun } = hop();
    const answer = await handler.request(callOf(fromClient()));
    const closed = handler.close(callOf(answer));
    await failsWith("not-found", '"n1"', begun.again("n1"));
    await closed;
  });

  it("ends a connection from inside", async () => {
    const { handler, begun, tail } = hop();
    await handler.request(callOf(fromClient()));
    await begun.end("n1");
    await begun.end("unknown");
    assert.equal(tail.closes.length, 1);
    assert.deepEqual(begun.list(), []);
  });

  it("does not end what is not to be ended any more when its turn comes", async () => {
    let due = true;
    const { handler, begun } = hop((call) => {
      due = call.established !== true;
      return throughForwarder(call);
    });
    const answer = await handler.request(callOf(fromClient()));
    await Promise.all([handler.request(callOf(answer)), begun.end("n1", undefined, () => due)]);
    assert.equal(begun.list().length, 1);
  });

  it("takes over what an earlier run had, before any request", async () => {
    const begun = begin({ log: silent });
    const tail = tailOf();
    begun.bind(tail);
    const held = connection({ state: DOWN }, ["client/c1", "nsmgr/n9", "forwarder/f9"], 1);
    begun.adopt(held, [mechanism("KERNEL")]);
    await begun.again("n9");
    assert.equal(tail.requests[0]?.established, true);
    assert.equal(tail.requests[0]?.preferences[0]?.type, "KERNEL");
    await begun.end("n9");
    assert.equal(pathText(tail.closes[0]?.connection ?? held), "client/c1 [nsmgr/n9] forwarder/f9");
  });

  it("does not take over what it has already", async () => {
    const { handler, begun } = hop();
    await handler.request(callOf(fromClient({ networkServiceEndpointName: "nse-1" })));
    begun.adopt(connection({}, ["client/c1", "nsmgr/n1"], 1));
    assert.equal(begun.current("n1")?.networkServiceEndpointName, "nse-1");
  });

  it("is of no use before it is in a chain", () => {
    const begun = begin({ log: silent });
    begun.adopt(connection({}, ["client/c1", "nsmgr/n9"], 1));
    return failsWith("internal", "no chain", begun.again("n9"));
  });
});
