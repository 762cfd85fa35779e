import assert from "node:assert/strict";
import { getEventListeners, once } from "node:events";
import {
  Connection,
  ConnectionEvent,
  ConnectionEventType,
  MonitorScopeSelector,
  type PathSegment,
} from "../../api/gen/connection/connection.js";
import type { Call, Handler } from "../../core/chain.js";
import { MeshError } from "../../core/error.js";
import { decodeJwt, isSignedBy } from "../../core/jwt.js";
import { systemClock } from "../../program/clock.js";
import type { PeerSet } from "../../rpc/peers.js";
import type { Services } from "../../rpc/services.js";
import { deadlineOf, timeLimit } from "../../rpc/signals.js";
import { nodeCases } from "./transportNode.js";
import { registryCases } from "./transportRegistry.js";
import { segmentCases } from "./transportSegments.js";

/** What an implementation brings: somewhere to listen, and peers that reach it. */
export interface TransportWorld extends AsyncDisposable {
  /** Serves at an address of its own choice, or again at `url`. */
  listen(
    services: Services,
    options?: { readonly hop?: string; readonly url?: string },
  ): Promise<{ readonly url: string } & AsyncDisposable>;
  readonly peers: PeerSet;
  /** Whether both sides show who they are: `clientId` and `serverId`. */
  readonly secured: boolean;
  /** An address of the right form where nobody listens. */
  readonly nowhere: string;
}

export const clientId = "spiffe://test/client";
export const serverId = "spiffe://test/server";
export const forever = new AbortController().signal;

/** Every way to call another program behaves like this. */
export function transportSuite(name: string, create: () => Promise<TransportWorld>): void {
  describe(`transport: ${name}`, () => {
    let world: TransportWorld;
    beforeEach(async () => {
      world = await create();
    });
    afterEach(() => world[Symbol.asyncDispose]());
    const get = () => world;
    requestCases(get);
    errorCases(get);
    refusalCases(get);
    endCases(get);
    monitorCases(get);
    registryCases(get);
    nodeCases(get);
    segmentCases(get);
  });
}

function callTo(target: string, connection: Connection = Connection.fromPartial({ id: "a" }), signal = forever): Call {
  return { connection, preferences: [], signal, target };
}

function requestCases(world: () => TransportWorld): void {
  it("carries a request and its answer, with what nobody knows", async () => {
    const { url } = await world().listen({
      networkService: {
        request: async (call) => ({ ...call.connection, payload: "IP", labels: { first: call.preferences[0]?.type ?? "" } }),
        close: async () => {},
      },
    });
    const unknown = { 1602: [new Uint8Array([3, 1, 2, 3])] };
    const connection = { ...Connection.fromPartial({ id: "a", networkService: "icmp" }), _unknownFields: unknown };
    const preferences = [{ cls: "LOCAL", type: "KERNEL", parameters: {} }];
    const answer = await world()
      .peers.networkService()
      .request({ ...callTo(url, connection), preferences });
    assert.deepEqual([answer.payload, answer.labels, answer.networkService], ["IP", { first: "KERNEL" }, "icmp"]);
    assert.deepEqual([...(answer._unknownFields?.[1602]?.[0] ?? [])], [3, 1, 2, 3]);
  });

  it("carries a close", async () => {
    const closed: string[] = [];
    const close = async (call: Call) => void closed.push(call.connection.id);
    const { url } = await world().listen({ networkService: { request: async (call) => call.connection, close } });
    await world().peers.networkService().close(callTo(url));
    assert.deepEqual(closed, ["a"]);
  });

  it("shows who calls, with a token for whom it calls, or neither where there is no TLS", async () => {
    let seen: Pick<Call, "caller" | "link"> | undefined;
    const request = async (call: Call) => {
      seen = call;
      return call.connection;
    };
    const { url } = await world().listen({ networkService: { request, close: async () => {} } });
    await world().peers.networkService().request(callTo(url));
    if (!world().secured) return assert.deepEqual([seen?.link, seen?.caller], [undefined, undefined]);
    const token = decodeJwt(seen?.caller?.token ?? "") ?? assert.fail();
    assert.deepEqual([token.subject, token.audience], [clientId, [serverId]]);
    assert.equal(seen?.caller?.expires, token.expires);
    assert.deepEqual([seen?.link?.peer.id, seen?.link?.self], [clientId, serverId]);
    assert.ok(isSignedBy(token, seen?.link?.peer.publicKey ?? assert.fail()));
  });

  it("believes only an answer with a token of whom it called, and closes what it does not believe", async () => {
    if (!world().secured) return;
    const closed: string[] = [];
    const path = { index: 0, pathSegments: [{ name: "client", id: "a", token: "", expires: undefined, metrics: {} }] };
    const forged: Handler = {
      request: async ({ connection, link }) => {
        const { token } = (await link?.tokens(clientId)) ?? assert.fail();
        const segment = {
          name: "server",
          id: "b",
          token: connection.networkService === "good" ? token : `${token}x`,
          expires: undefined,
          metrics: {},
        };
        return {
          ...connection,
          path: { index: 0, pathSegments: [{ ...path.pathSegments[0], name: "x", id: "a" } as PathSegment, segment] },
        };
      },
      close: async ({ connection }) => void closed.push(connection.id),
    };
    const { url } = await world().listen({ networkService: forged });
    const ask = (networkService: string) =>
      world()
        .peers.networkService()
        .request(callTo(url, { ...Connection.fromPartial({ id: "a", networkService }), path }));
    const answer = await ask("good");
    assert.deepEqual(
      answer.path?.pathSegments.map(({ name }) => name),
      ["client", "server"],
    );
    await assert.rejects(ask("forged"), {
      code: "denied",
      message: /the token of "server" is not signed with the key of the certificate of/,
    });
    assert.deepEqual(closed, ["a"]);
  });

  it("answers a hundred calls at once", async () => {
    const { url } = await world().listen({ networkService: { request: async (call) => call.connection, close: async () => {} } });
    const ids = Array.from({ length: 100 }, (_, at) => `c${at}`);
    const answers = await Promise.all(
      ids.map((id) =>
        world()
          .peers.networkService()
          .request(callTo(url, Connection.fromPartial({ id }))),
      ),
    );
    assert.deepEqual(
      answers.map((answer) => answer.id),
      ids,
    );
  });

  it("says whether a program is healthy", async () => {
    const { url } = await world().listen({});
    assert.equal(await world().peers.health(url, forever), true);
    assert.equal(await world().peers.health(world().nowhere, forever), false);
  });
}

function failing(error: unknown): Services {
  const fail = () => Promise.reject(error);
  return { networkService: { request: fail, close: fail } };
}

function errorCases(world: () => TransportWorld): void {
  it("keeps an error's code and sentence, and names the hop", async () => {
    const { url } = await world().listen(failing(new MeshError("exhausted", "10.0.0.0/30 is used up: 2 of 2 “leases” in use")), {
      hop: "fwd-1",
    });
    await assert.rejects(world().peers.networkService().request(callTo(url)), (error: MeshError) => {
      assert.deepEqual([error.code, error.hop], ["exhausted", "fwd-1"]);
      assert.equal(error.message, "10.0.0.0/30 is used up: 2 of 2 “leases” in use");
      return true;
    });
  });

  it("keeps the hop that an error came from further away", async () => {
    const { url } = await world().listen(failing(new MeshError("netns-gone", "the pod is gone", { hop: "fwd-2 ü" })), { hop: "nsmgr-1" });
    await assert.rejects(world().peers.networkService().close(callTo(url)), { code: "netns-gone", hop: "fwd-2 ü" });
  });

  it("turns what is no MeshError into internal, and a broken or long sentence into one that travels", async () => {
    const { url } = await world().listen(failing(new TypeError(`half \ud800 ${"x".repeat(10_000)}`)), { hop: "h" });
    await assert.rejects(world().peers.networkService().request(callTo(url)), (error: MeshError) => {
      assert.equal(error.code, "internal");
      assert.match(error.message, /^half \ufffd x+…$/);
      return true;
    });
  });

  it("says which address does not answer", async () => {
    await assert.rejects(world().peers.networkService().request(callTo(world().nowhere)), (error: MeshError) => {
      assert.equal(error.code, "unreachable");
      assert.ok(error.message.includes(world().nowhere), error.message);
      return true;
    });
  });

  it("says what a program does not offer", async () => {
    const { url } = await world().listen({});
    await assert.rejects(world().peers.networkService().request(callTo(url)), { code: "unsupported" });
  });

  it("reaches a program that was away", async () => {
    const handler = { request: async (call: Call) => call.connection, close: async () => {} };
    const first = await world().listen({ networkService: handler });
    await world().peers.networkService().request(callTo(first.url));
    await first[Symbol.asyncDispose]();
    await assert.rejects(world().peers.networkService().request(callTo(first.url)), { code: "unreachable" });
    await world().listen({ networkService: handler }, { url: first.url });
    assert.equal((await world().peers.networkService().request(callTo(first.url))).id, "a");
  });
}

function refusalCases(world: () => TransportWorld): void {
  const segments = (count: number) => Array.from({ length: count }, (_, at) => ({ name: `hop${at}`, id: `id${at}` }));
  it("takes no answer that is larger than what can be asked", async () => {
    const extraContext = Object.fromEntries(Array.from({ length: 128 }, (_, at) => [`k${at}`, "x".repeat(8_192)]));
    const answer = Connection.fromPartial({ id: "a", context: { extraContext } });
    const { url } = await world().listen({ networkService: { request: async () => answer, close: async () => {} } });
    await assert.rejects(world().peers.networkService().request(callTo(url)), {
      code: "invalid",
      message: /a Connection has 10\d+ bytes; at most 1048576 are taken/,
    });
  });

  const bad: [string, Parameters<typeof Connection.fromPartial>[0], RegExp][] = [
    ["a path index beyond the path", { path: { index: 2, pathSegments: segments(2) } }, /index is 2, but the path has 2 segments/],
    ["too many segments", { path: { index: 0, pathSegments: segments(65) } }, /path has 65 segments; at most 64 are allowed/],
    ["one id for two hops", { path: { index: 0, pathSegments: [...segments(2), ...segments(1)] } }, /two segments with the id "id0"/],
    ["a long id", { id: "x".repeat(257) }, /connection's id is 257 characters long; at most 256/],
    ["a control character", { id: "a\nb" }, /id "a\\nb" has a control character/],
    [
      "too many labels",
      { labels: Object.fromEntries(Array.from({ length: 129 }, (_, at) => [`l${at}`, ""])) },
      /labels has 129 entries; at most 128/,
    ],
    ["a time that is none", { path: { index: 0, pathSegments: [{ expires: { seconds: 1e15, nanos: 0 } }] } }, /expiry is no time/],
    ["a message that is too large", { context: { extraContext: { x: "y".repeat(1_100_000) } } }, /too large/],
  ];
  for (const [what, connection, sentence] of bad)
    it(`refuses ${what} before any handler sees it`, async () => {
      let seen = 0;
      const see = async (call: Call) => {
        seen += 1;
        return call.connection;
      };
      const { url } = await world().listen({ networkService: { request: see, close: async () => {} } });
      await assert.rejects(
        world()
          .peers.networkService()
          .request(callTo(url, Connection.fromPartial(connection))),
        (error: MeshError) => {
          assert.equal(error.code, "invalid");
          assert.match(error.message, sentence);
          return true;
        },
      );
      assert.equal(seen, 0);
    });
}

function endCases(world: () => TransportWorld): void {
  /** A handler that waits for its signal, and what became of it. */
  function waiting() {
    const begun = new EventTarget();
    let ended: () => void = () => {};
    const over = new Promise<void>((resolve) => {
      ended = resolve;
    });
    const request = async (call: Call): Promise<Connection> => {
      told = { deadline: deadlineOf(call.signal), at: systemClock.now() };
      begun.dispatchEvent(new Event("begun"));
      if (!call.signal.aborted) await once(call.signal, "abort");
      ended();
      throw call.signal.reason;
    };
    let told: { readonly deadline: number | undefined; readonly at: number } | undefined;
    return { services: { networkService: { request, close: async () => {} } }, begun, over, told: () => told };
  }

  it("tells the handler when its caller gives up", async () => {
    const { services, begun, over } = waiting();
    const { url } = await world().listen(services);
    const caller = new AbortController();
    const isBegun = once(begun, "begun");
    const answer = world()
      .peers.networkService()
      .request(callTo(url, undefined, caller.signal));
    const refused = assert.rejects(answer, { code: "cancelled" });
    await isBegun;
    caller.abort();
    await Promise.all([refused, over]);
  });

  it("does not begin for a caller that has given up", async () => {
    const { url } = await world().listen(waiting().services);
    await assert.rejects(
      world()
        .peers.networkService()
        .request(callTo(url, undefined, AbortSignal.abort())),
      { code: "cancelled" },
    );
  });

  it("ends with the caller's deadline, which the handler knows", async () => {
    // A busy machine may need all of a short limit to bring a call to its handler: then another call gets more.
    for (const ms of [60, 500, 4_000]) {
      const { services, over, told } = waiting();
      const { url } = await world().listen(services);
      // Handshake and token are had before the time runs.
      assert.ok(await world().peers.health(url, forever));
      const asked = systemClock.now();
      using limit = timeLimit(systemClock, ms);
      await assert.rejects(
        world()
          .peers.networkService()
          .request(callTo(url, undefined, limit.signal)),
        { code: "timeout" },
      );
      const { deadline, at } = told() ?? {};
      if (at === undefined) continue;
      await over;
      const known = deadlineOf(limit.signal) ?? 0;
      // gRPC carries what is left of the time, so the way there is added to it, and times are rounded.
      const late = (deadline ?? Number.NaN) - known;
      assert.ok(late >= -2 && late <= at - asked + 2, `${late} ms after the caller's, ${at - asked} ms on the way`);
      return;
    }
    assert.fail("no call reached its handler");
  });

  it("leaves nothing on a caller's signal that lives on", async () => {
    const watch = async function* () {
      yield event("a");
    };
    const { url } = await world().listen({
      networkService: { request: async (call) => call.connection, close: async () => {} },
      monitor: { watch },
    });
    const { signal } = new AbortController();
    await world()
      .peers.networkService()
      .request(callTo(url, undefined, signal));
    for await (const _ of world().peers.monitor(url, MonitorScopeSelector.fromPartial({}), signal));
    for await (const _ of world().peers.monitor(url, MonitorScopeSelector.fromPartial({}), signal)) break;
    assert.equal(getEventListeners(signal, "abort").length, 0);
  });
}

function event(id: string, bulk = ""): ConnectionEvent {
  return ConnectionEvent.fromPartial({ type: ConnectionEventType.UPDATE, connections: { [id]: { id, labels: { bulk } } } });
}

function monitorCases(world: () => TransportWorld): void {
  const selector = MonitorScopeSelector.fromPartial({ pathSegments: [{ id: "x" }] });

  it("streams events in order, to a selector that arrives whole", async () => {
    let asked: MonitorScopeSelector | undefined;
    const { url } = await world().listen({
      monitor: {
        async *watch(wanted) {
          asked = wanted;
          for (let at = 0; at < 100; at++) yield event(`c${at}`);
        },
      },
    });
    const ids: string[] = [];
    for await (const { connections } of world().peers.monitor(url, selector, forever)) ids.push(...Object.keys(connections));
    assert.deepEqual([ids.length, ids[0], ids[99], asked?.pathSegments[0]?.id], [100, "c0", "c99", "x"]);
  });

  /** A source that yields once, then waits for ever without listening to its signal; `over` when its reader let it go. */
  function stubborn() {
    let end: () => void = () => {};
    const over = new Promise<void>((resolve) => {
      end = resolve;
    });
    const watch = (_: MonitorScopeSelector, signal: AbortSignal): AsyncIterable<ConnectionEvent> => {
      signal.addEventListener("abort", () => end(), { once: true });
      let first = true;
      const next = async () => {
        if (!first) return await new Promise<never>(() => {});
        first = false;
        return { done: false, value: event("a") };
      };
      return { [Symbol.asyncIterator]: () => ({ next }) };
    };
    return { services: { monitor: { watch } }, over };
  }

  it("lets the source go when the reader stops", async () => {
    const { services, over } = stubborn();
    const { url } = await world().listen(services);
    for await (const _ of world().peers.monitor(url, selector, forever)) break;
    await over;
  });

  it("ends quietly at both ends when the reader's signal ends", async () => {
    const { services, over } = stubborn();
    const { url } = await world().listen(services);
    const reader = new AbortController();
    let events = 0;
    for await (const _ of world().peers.monitor(url, selector, reader.signal)) {
      events += 1;
      setImmediate(() => reader.abort());
    }
    await over;
    assert.equal(events, 1);
  });

  it("ends with unreachable when the program goes away", async () => {
    const server = await world().listen(stubborn().services);
    await assert.rejects(
      async () => {
        for await (const _ of world().peers.monitor(server.url, selector, forever)) void server[Symbol.asyncDispose]();
      },
      { code: "unreachable" },
    );
  });

  it("ends with the source's own error", async () => {
    const watch = async function* () {
      yield event("a");
      throw new MeshError("denied", "not yours");
    };
    const { url } = await world().listen({ monitor: { watch } }, { hop: "m" });
    await assert.rejects(
      async () => {
        for await (const _ of world().peers.monitor(url, selector, forever));
      },
      { code: "denied", hop: "m", message: "not yours" },
    );
  });

  it("holds the source back while nobody reads, and other calls go on", async () => {
    let made = 0;
    const watch = async function* () {
      for (const bulk = "x".repeat(8_000); ; made++) yield event("a", bulk);
    };
    const { url } = await world().listen({ monitor: { watch } });
    const events = world().peers.monitor(url, selector, forever)[Symbol.asyncIterator]();
    await events.next();
    for (let count = 0; count < 30; count++) assert.equal(await world().peers.health(url, forever), true);
    assert.ok(made < 300, `${made} events of 8 kB were made for a reader that took one`);
    await events.return?.();
  });
}
