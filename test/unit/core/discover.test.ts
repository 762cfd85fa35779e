import assert from "node:assert/strict";
import type { Connection } from "../../../api/gen/connection/connection.js";
import { type Call, chain } from "../../../core/chain.js";
import { discover } from "../../../core/discover.js";
import { MeshError } from "../../../core/error.js";
import { silent } from "../../../core/log.js";
import { DOWN, RESELECT_REQUESTED, UP } from "../../../core/states.js";
import {
  callOf,
  connection,
  endpoint,
  failsWith,
  ListedDirectory,
  pathText,
  segment,
  service,
  settled,
  tailOf,
} from "../../lib/chainKit.js";
import { FakeClock } from "../../lib/fakeClock.js";

/** The forwarder of the client's node, with three endpoints of "intranet": nse-1 nearest, nse-3 furthest. */
function hop(answer: (call: Call) => Connection | Promise<Connection> = behind) {
  const directory = new ListedDirectory();
  directory.services.push(service("intranet", { payload: "ETHERNET" }));
  for (const n of [3, 1, 2]) directory.endpoints.push(endpoint(`nse-${n}`, ["intranet"], { app: `app-${n}` }));
  const tail = tailOf(answer);
  const clock = new FakeClock();
  /** What the forwarder itself holds, between discover and the tail. */
  const own = { requests: 0, closes: 0 };
  const element = discover({
    directory,
    tail,
    ...{ clock, log: silent, random: () => 0.5, load: () => 0 },
    locality: async () => (endpoint) => Number(endpoint.name.at(-1)),
  });
  const local = {
    name: "local",
    request: (call: Call, next: { request(call: Call): Promise<Connection> }) => {
      own.requests++;
      return next.request(call);
    },
    close: async (call: Call, next: { close(call: Call): Promise<void> }) => {
      own.closes++;
      await next.close(call);
    },
  };
  return { directory, tail, own, clock, handler: chain([element, local], tail), targets: () => tail.requests.map(({ target }) => target) };
}

function behind({ connection: conn, target }: Call): Connection {
  const path = conn.path ?? { index: 0, pathSegments: [] };
  if (path.pathSegments.length > path.index + 1) return conn;
  return { ...conn, path: { ...path, pathSegments: [...path.pathSegments, segment(`next/for-${target?.slice(6)}`)] } };
}

const first = (part: Partial<Connection> = {}) => callOf(connection(part, ["client/c1", "nsmgr/n1", "forwarder/f1"], 2));
const again = (conn: Connection, part: Partial<Connection> = {}) => callOf({ ...conn, ...part }, { established: true });

describe("discover", () => {
  it("asks the endpoint that was named", async () => {
    const { handler, tail } = hop();
    const answer = await handler.request(first({ networkServiceEndpointName: "nse-2" }));
    assert.equal(tail.requests[0]?.target, "tcp://nse-2");
    assert.equal(answer.networkServiceEndpointName, "nse-2");
    assert.equal(answer.payload, "ETHERNET");
  });

  it("chooses the best of those that match, with the service's payload", async () => {
    const { handler, tail } = hop();
    const answer = await handler.request(first());
    assert.equal(answer.networkServiceEndpointName, "nse-1");
    assert.equal(tail.requests[0]?.target, "tcp://nse-1");
    assert.equal(answer.payload, "ETHERNET");
  });

  it("refuses a service that carries something else than was asked for, but only at first", async () => {
    const { handler } = hop();
    const words = '"intranet" carries ETHERNET, not IP; ask for that payload, or for none';
    await failsWith("not-found", words, handler.request(first({ payload: "IP" })));
    const conn = await handler.request(first({ payload: "ETHERNET" }));
    assert.equal((await handler.request(again(conn, { payload: "IP", networkServiceEndpointName: "" }))).payload, "ETHERNET");
  });

  it("never takes an endpoint of a site whose service of that name carries something else, and says so", async () => {
    const { handler, directory, targets } = hop();
    directory.endpoints.push(
      endpoint("nse-0@tokyo", ["intranet", "intranet@tokyo"]),
      endpoint("nse-0@lima", ["intranet", "intranet@lima"]),
    );
    directory.services.push(service("intranet@tokyo", { payload: "IP" }));
    assert.equal((await handler.request(first())).networkServiceEndpointName, "nse-1");
    await failsWith(
      "no-endpoint",
      'the endpoint "nse-0@tokyo" IP; ask for "intranet@tokyo"',
      handler.request(first({ networkServiceEndpointName: "nse-0@tokyo" })),
    );
    directory.endpoints.splice(0, 3);
    const words =
      /"intranet" carries ETHERNET, and no endpoint of it does: nse-0@tokyo carries IP, nse-0@lima carries what nobody knows; ask for/;
    await failsWith("no-endpoint", words, handler.request(first()));
    assert.deepEqual(targets(), ["tcp://nse-1"]);
    const there = await handler.request(first({ networkService: "intranet@tokyo" }));
    assert.deepEqual([there.networkServiceEndpointName, there.payload], ["nse-0@tokyo", "IP"]);
    directory.services.push(service("intranet@lima", { payload: "ETHERNET" }));
    assert.equal((await handler.request(first())).networkServiceEndpointName, "nse-0@lima");
  });

  it("leaves a target alone that is set already", async () => {
    const { handler, tail } = hop();
    await handler.request({ ...first(), target: "unix:///elsewhere" });
    assert.equal(tail.requests[0]?.target, "unix:///elsewhere");
  });

  it("tries the next best when one fails, and stays with it in a refresh", async () => {
    const { handler, targets } = hop((call) => {
      if (call.target === "tcp://nse-1") throw new MeshError("unreachable", "no route");
      return behind(call);
    });
    const answer = await handler.request(first());
    assert.equal(answer.networkServiceEndpointName, "nse-2");
    await handler.request(again(answer));
    assert.deepEqual(targets(), ["tcp://nse-1", "tcp://nse-2", "tcp://nse-2"]);
  });

  it("says of each candidate why it failed", async () => {
    const { handler } = hop((call) => {
      throw new MeshError("exhausted", `${call.target} is full`, { hop: "far" });
    });
    const error = await failsWith("exhausted", "none of the 3 candidates for", handler.request(first()));
    assert.match(error.message, /nse-1: tcp:\/\/nse-1 is full; nse-2: tcp:\/\/nse-2 is full; nse-3/);
    assert.equal(error.hop, "far");
  });

  it("does not try others where they would fail as well, or nobody waits", async () => {
    const patience = new AbortController();
    for (const code of ["invalid", "exists", "cancelled"] as const) {
      const { handler, targets } = hop(() => Promise.reject(new MeshError(code, "no")));
      await failsWith(code, "no", handler.request(first()));
      assert.equal(targets().length, 1, code);
    }
    const { handler, targets } = hop(() => {
      patience.abort();
      throw new MeshError("unreachable", "no");
    });
    await failsWith("unreachable", "no", handler.request({ ...first(), signal: patience.signal }));
    assert.equal(targets().length, 1);
  });

  it("gives one that hangs 6 s while there are others, and the last one all the time there is", async () => {
    const { handler, targets, clock } = hop((call) => {
      if (call.target === "tcp://nse-3") return behind(call);
      return new Promise((_, reject) => call.signal.addEventListener("abort", () => reject(call.signal.reason)));
    });
    const request = handler.request(first());
    await clock.advance(5999);
    assert.equal(targets().length, 1);
    await clock.advance(1);
    assert.equal(targets().length, 2);
    await clock.advance(6000);
    assert.equal((await request).networkServiceEndpointName, "nse-3");
    assert.equal(clock.pending, 0);
  });

  it("tries others when an endpoint's pod is gone, but not when the client's is", async () => {
    const theirs = hop((call) => {
      if (call.target === "tcp://nse-1") throw new MeshError("netns-gone", "no such namespace", { hop: "far-forwarder" });
      return behind(call);
    });
    assert.equal((await theirs.handler.request(first())).networkServiceEndpointName, "nse-2");
    const alone = first({ networkServiceEndpointName: "nse-1" });
    await failsWith("no-endpoint", 'endpoint "nse-1" is not there any more: no such namespace', theirs.handler.request(alone));
    const ours = hop(() => Promise.reject(new MeshError("netns-gone", "no such namespace")));
    await failsWith("netns-gone", "no such namespace", ours.handler.request(first()));
    assert.equal(ours.targets().length, 1);
  });

  it("names the nearest names where nobody serves the service", async () => {
    const { handler, directory } = hop();
    directory.services.push(service("internet"), service("payments"));
    const request = (name: string) => handler.request(first({ networkService: name }));
    await failsWith("not-found", 'named "intranett"; did you mean "intranet" or "internet"?', request("intranett"));
    await failsWith("not-found", "nsmctl get services", request("zzz"));
    await failsWith("invalid", "names no network service", request(""));
  });

  it("says that nobody serves it now, or which labels there were", async () => {
    const { handler, directory } = hop();
    directory.services.push(service("empty"));
    await failsWith("no-endpoint", 'no endpoint serves "empty"', handler.request(first({ networkService: "empty" })));
    const match = {
      sourceSelector: {},
      routes: [{ destinationSelector: { app: "app-9" }, weight: 0 }],
      fallthrough: false,
      metadata: undefined,
    };
    directory.services[0] = service("intranet", { matches: [match] });
    const request = handler.request(first({ labels: { zone: "a", app: "x" } }));
    await failsWith("no-endpoint", "labels app=x,zone=a; nse-3 has app=app-3, nse-1 has app=app-1", request);
  });

  it("says that a named endpoint is not there", async () => {
    const { handler } = hop();
    await failsWith("no-endpoint", '"nse-9" is not registered', handler.request(first({ networkServiceEndpointName: "nse-9" })));
  });
});

describe("discover, reselecting", () => {
  it("goes to another endpoint, with a fresh path behind it and state UP, and closes the old one past its own elements", async () => {
    const { handler, tail, own } = hop();
    const answer = await handler.request(first());
    const moved = await handler.request(again(answer, { state: RESELECT_REQUESTED }));
    await settled();
    assert.equal(moved.networkServiceEndpointName, "nse-2");
    assert.equal(pathText(tail.requests[1]?.connection ?? answer), "client/c1 nsmgr/n1 [forwarder/f1]");
    assert.equal(tail.requests[1]?.connection.state, UP);
    assert.equal(pathText(tail.closes[0]?.connection ?? moved), "client/c1 nsmgr/n1 [forwarder/f1] next/for-nse-1");
    assert.equal(tail.closes[0]?.target, "tcp://nse-1");
    assert.equal(own.closes, 0);
  });

  it("comes back to the same endpoint when it is the only one", async () => {
    const { handler, directory, tail } = hop();
    directory.forget("nse-2");
    directory.forget("nse-3");
    const answer = await handler.request(first());
    const moved = await handler.request(again(answer, { state: RESELECT_REQUESTED }));
    assert.equal(moved.networkServiceEndpointName, "nse-1");
    assert.equal(tail.closes.length, 1);
  });

  it("does not wait for the old endpoint", async () => {
    const { handler, tail } = hop();
    const answer = await handler.request(first());
    tail.close = () => new Promise(() => {});
    await handler.request(again(answer, { state: RESELECT_REQUESTED }));
  });

  it("leaves the old endpoint alone while there is nowhere to go", async () => {
    const { handler, directory, tail } = hop();
    const answer = await handler.request(first());
    directory.endpoints.length = 0;
    await failsWith("no-endpoint", "no endpoint serves", handler.request(again(answer, { state: RESELECT_REQUESTED })));
    await settled();
    assert.equal(tail.closes.length, 0);
  });

  it("closes the old endpoint also when the registry has forgotten it", async () => {
    const { handler, directory, tail } = hop();
    const answer = await handler.request(first());
    directory.forget("nse-1");
    const moved = await handler.request(again(answer, { state: RESELECT_REQUESTED }));
    assert.equal(moved.networkServiceEndpointName, "nse-2");
    assert.equal(tail.closes[0]?.target, "tcp://nse-1");
  });

  it("closes it after a restart by its name", async () => {
    const before = hop();
    const answer = await before.handler.request(first());
    const { handler, tail } = hop();
    await handler.request(again(answer, { state: RESELECT_REQUESTED }));
    await settled();
    assert.equal(tail.closes[0]?.target, "tcp://nse-1");
  });

  it("closes the old endpoint once, however many new ones it has to try", async () => {
    const { handler, tail } = hop((call) => {
      if (call.target === "tcp://nse-2") throw new MeshError("unreachable", "no route");
      return behind(call);
    });
    const answer = await handler.request(first());
    const moved = await handler.request(again(answer, { state: RESELECT_REQUESTED }));
    await settled();
    assert.equal(moved.networkServiceEndpointName, "nse-3");
    assert.equal(tail.closes.length, 1);
  });

  it("obeys the hop before it that has chosen, for a connection that is new here, and falls back to the others", async () => {
    const { handler, tail, directory } = hop();
    const chosen = { networkServiceEndpointName: "nse-3", state: RESELECT_REQUESTED };
    assert.equal((await handler.request(first(chosen))).networkServiceEndpointName, "nse-3");
    assert.equal(tail.requests[0]?.connection.state, UP);
    directory.forget("nse-3");
    assert.equal((await handler.request(first(chosen))).networkServiceEndpointName, "nse-1");
    assert.equal(tail.closes.length, 0);
  });

  it("chooses freely where the client has cleared the name, as NSM's clients do", async () => {
    const { handler } = hop();
    const answer = await handler.request(first({ state: RESELECT_REQUESTED }));
    assert.equal(answer.networkServiceEndpointName, "nse-1");
  });

  it("does not reselect because of any other state", async () => {
    const { handler, tail } = hop();
    const answer = await handler.request(first());
    const same = await handler.request(again(answer, { state: DOWN }));
    assert.equal(same.networkServiceEndpointName, "nse-1");
    assert.equal(tail.closes.length, 0);
  });
});

describe("discover, closing", () => {
  it("goes the way that the request went, also when the registry has forgotten the endpoint", async () => {
    const { handler, directory, tail } = hop();
    const answer = await handler.request(first());
    directory.forget("nse-1");
    await handler.close(callOf(answer));
    assert.equal(tail.closes[0]?.target, "tcp://nse-1");
  });

  it("finds the endpoint by its name after a restart", async () => {
    const { handler, tail } = hop();
    await handler.close(first({ networkServiceEndpointName: "nse-2" }));
    assert.equal(tail.closes[0]?.target, "tcp://nse-2");
  });

  it("still lets this hop's own elements close where nobody knows the endpoint", async () => {
    const { handler, own, tail } = hop();
    await handler.close(first({ networkServiceEndpointName: "nse-9" }));
    await handler.close(first());
    assert.equal(own.closes, 2);
    assert.equal(tail.closes[0]?.target, undefined);
  });
});
