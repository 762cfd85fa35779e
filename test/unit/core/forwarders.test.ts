import assert from "node:assert/strict";
import type { Connection } from "../../../api/gen/connection/connection.js";
import { chain } from "../../../core/chain.js";
import { MeshError } from "../../../core/error.js";
import { discoverForwarder } from "../../../core/forwarders.js";
import { silent } from "../../../core/log.js";
import { RESELECT_REQUESTED } from "../../../core/states.js";
import { callOf, connection, endpoint, failsWith, ListedDirectory, service, tailOf } from "../../lib/chainKit.js";

/** An nsmgr with two forwarders of its own node and one of another. */
function hop(answer?: Parameters<typeof tailOf>[0]) {
  const directory = new ListedDirectory();
  directory.endpoints.push(endpoint("far", ["forwarder"], { p2p: "true" }, "tcp://other-nsmgr"));
  directory.endpoints.push(endpoint("fwd-a", ["forwarder"], { p2p: "true" }, "unix:///a"));
  directory.endpoints.push(endpoint("fwd-b", ["forwarder"], { p2mp: "true" }, "unix:///b"));
  const tail = tailOf(answer);
  const element = discoverForwarder({ directory, serviceName: "forwarder", ownUrls: () => ["unix:///a", "unix:///b"], log: silent });
  return { directory, tail, handler: chain([element], tail), targets: () => tail.requests.map(({ target }) => target) };
}

const first = (part: Partial<Connection> = {}) => callOf(connection(part, ["client/c1", "nsmgr/n1"], 1));
const behind = (name: string, part: Partial<Connection> = {}) =>
  callOf(connection(part, ["client/c1", "nsmgr/n1", `${name}/f1`], 1), { established: true });
const matching = (labels: Record<string, string> | undefined, sourceSelector: Record<string, string> = {}) => ({
  ...{ sourceSelector, routes: [], fallthrough: false },
  metadata: labels && { labels },
});

describe("discoverForwarder", () => {
  it("chooses one of this node", async () => {
    const { handler, targets } = hop();
    await handler.request(first());
    assert.deepEqual(targets(), ["unix:///a"]);
  });

  it("tries them all", async () => {
    const { handler, targets } = hop((call) => {
      if (call.target === "unix:///a") throw new MeshError("unreachable", "no answer");
      return call.connection;
    });
    await handler.request(first());
    assert.deepEqual(targets(), ["unix:///a", "unix:///b"]);
  });

  it("stays with the forwarder that has the connection", async () => {
    const { handler, targets, directory } = hop();
    await handler.request(first());
    directory.endpoints.reverse();
    await handler.request(first({ state: RESELECT_REQUESTED }));
    assert.deepEqual(targets(), ["unix:///a", "unix:///a"]);
  });

  it("finds it again after a restart, by the path", async () => {
    const { handler, targets, tail } = hop();
    await handler.request(behind("fwd-b", { state: RESELECT_REQUESTED }));
    assert.deepEqual(targets(), ["unix:///b"]);
    assert.equal(tail.requests[0]?.connection.state, RESELECT_REQUESTED, "the forwarder reselects, not we");
  });

  it("does not move a connection because its forwarder fails", async () => {
    const { handler, targets } = hop(() => Promise.reject(new MeshError("unreachable", "no answer")));
    await failsWith("unreachable", "no answer", handler.request(behind("fwd-a")));
    assert.deepEqual(targets(), ["unix:///a"]);
  });

  it("moves it when its forwarder is not registered any more", async () => {
    const { handler, targets, directory } = hop();
    await handler.request(behind("fwd-a"));
    directory.forget("fwd-a");
    await handler.request(behind("fwd-a"));
    assert.deepEqual(targets(), ["unix:///a", "unix:///b"]);
  });

  it("finds a forwarder at the url where it is now", async () => {
    const { handler, targets, directory } = hop();
    await handler.request(first());
    directory.forget("fwd-a");
    directory.endpoints.push(endpoint("fwd-a", ["forwarder"], {}, "unix:///b"));
    await handler.request(behind("fwd-a"));
    assert.deepEqual(targets(), ["unix:///a", "unix:///b"]);
  });

  it("takes one with the labels that the service's match asks for, p2p unless it says otherwise", async () => {
    const { handler, targets, directory } = hop();
    directory.endpoints.reverse();
    directory.services.push(service("intranet", { matches: [matching(undefined)] }));
    await handler.request(first());
    directory.services[0] = service("intranet", { matches: [matching({ p2p: "true" }, { app: "web" }), matching({ p2mp: "true" })] });
    await handler.request(callOf(connection({}, ["client/c2", "nsmgr/n2"], 1)));
    await handler.request(callOf(connection({ labels: { app: "web" } }, ["client/c3", "nsmgr/n3"], 1)));
    assert.deepEqual(targets(), ["unix:///a", "unix:///b", "unix:///a"]);
  });

  it("takes any where the service has no matches or is not known", async () => {
    const { handler, targets, directory } = hop();
    directory.endpoints.reverse();
    await handler.request(first());
    assert.deepEqual(targets(), ["unix:///b"]);
  });

  it("says which labels there are where none fits", async () => {
    const { handler, directory } = hop();
    directory.services.push(service("intranet", { matches: [matching({ sriov: "true" })] }));
    await failsWith("no-forwarder", "has the labels sriov=true; fwd-a has p2p=true, fwd-b has p2mp=true", handler.request(first()));
  });

  it("asks whether the forwarder runs where none is registered", async () => {
    const { handler, directory } = hop();
    directory.endpoints.length = 1;
    await failsWith("no-forwarder", "is nsm-forwarder running?", handler.request(first()));
  });

  it("leaves a target alone that is set already", async () => {
    const { handler, targets } = hop();
    await handler.request({ ...first(), target: "unix:///elsewhere" });
    assert.deepEqual(targets(), ["unix:///elsewhere"]);
  });

  it("closes where the connection is, after a restart too, and when the forwarder is not registered any more", async () => {
    const { handler, tail, directory } = hop();
    await handler.request(first());
    directory.forget("fwd-a");
    await handler.close(first());
    await handler.close(behind("fwd-b"));
    await handler.close(first());
    assert.deepEqual(
      tail.closes.map(({ target }) => target),
      ["unix:///a", "unix:///b", undefined],
    );
  });

  it("does not take a close for done while the forwarder that has the connection is still to come", async () => {
    const { handler, tail, directory } = hop();
    await failsWith("unreachable", 'the forwarder "fwd-c", which has this connection, is not registered', handler.close(behind("fwd-c")));
    assert.deepEqual(tail.closes, []);
    directory.endpoints.push(endpoint("fwd-c", ["forwarder"], { p2p: "true" }, "unix:///a"));
    await handler.close(behind("fwd-c"));
    assert.deepEqual(
      tail.closes.map(({ target }) => target),
      ["unix:///a"],
    );
  });
});
