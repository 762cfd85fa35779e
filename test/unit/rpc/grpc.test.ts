import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, credentials, Server as GrpcServer, Metadata, ServerCredentials, type ServerWritableStream } from "@grpc/grpc-js";
import { Connection, ConnectionEvent, MonitorScopeSelector } from "../../../api/gen/connection/connection.js";
import { silent } from "../../../core/log.js";
import { systemClock } from "../../../program/clock.js";
import { Peers } from "../../../rpc/client.js";
import { serve } from "../../../rpc/server.js";
import type { Services } from "../../../rpc/services.js";
import { FakeClock } from "../../lib/fakeClock.js";
import { until } from "../../lib/until.js";

const forever = new AbortController().signal;
const echo: Services = { networkService: { request: async (call) => call.connection, close: async () => {} } };

const start = (services: Services, urls = ["tcp://127.0.0.1:0"]) =>
  serve({ urls, services, log: silent, hop: "h", limits: { graceMs: 100 } });
const peersWith = (clock = systemClock, dialTimeoutMs = 300) => new Peers({ log: silent, clock, dialTimeoutMs });
const call = (target: string, id = "a") => ({ connection: Connection.fromPartial({ id }), preferences: [], signal: forever, target });

/** Passes bytes on to a port, and counts who came. */
async function counter(port: number) {
  const seen: Socket[] = [];
  const server = createServer((socket) => {
    seen.push(socket);
    const onward = connect({ port, host: "127.0.0.1" });
    socket.on("close", () => onward.destroy());
    socket
      .on("error", () => {})
      .pipe(onward)
      .on("error", () => {})
      .pipe(socket);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return { url: `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`, seen, close: () => closeAll(server, seen) };
}

function closeAll(server: Server, sockets: readonly Socket[]): void {
  server.close();
  for (const socket of sockets) socket.destroy();
}

/** Something that a test waits for. */
function latch<T>() {
  let open: (value: T) => void = () => {};
  const opened = new Promise<T>((resolve) => {
    open = resolve;
  });
  return { opened, open: (value: T) => open(value) };
}

const portOf = (url: string | undefined) => Number(url?.split(":").at(-1));

describe("Peers over gRPC", () => {
  it("share one connection per address among calls and streams", async () => {
    const watch = async function* () {
      yield ConnectionEvent.fromPartial({});
      await new Promise(() => {});
    };
    await using server = await start({ ...echo, monitor: { watch } });
    const middle = await counter(portOf(server.urls[0]));
    await using peers = peersWith();
    const readers = Array.from({ length: 100 }, () =>
      peers.monitor(middle.url, MonitorScopeSelector.fromPartial({}), forever)[Symbol.asyncIterator](),
    );
    await Promise.all([
      ...readers.map((reader) => reader.next()),
      ...["a", "b"].map((id) => peers.networkService().request(call(middle.url, id))),
    ]);
    assert.equal(middle.seen.length, 1);
    middle.close();
    for (const reader of readers) await assert.rejects(reader.next(), { code: "unreachable" });
  });

  it("close a connection that nobody used for five minutes, and open it again", async () => {
    await using server = await start(echo);
    const middle = await counter(portOf(server.urls[0]));
    const clock = new FakeClock(Date.now());
    await using peers = peersWith(clock);
    await peers.networkService().request(call(middle.url));
    await until("the call is over", 1_000, () => clock.pending === 1);
    const closed = once(middle.seen[0] as Socket, "close");
    await clock.advance(5 * 60_000 - 1);
    assert.equal(middle.seen[0]?.destroyed, false);
    await clock.advance(1);
    await closed;
    assert.equal(clock.pending, 0);
    await using late = peersWith();
    await late.networkService().request(call(middle.url));
    assert.equal(middle.seen.length, 2);
    middle.close();
  });

  it("take an answer as it comes, and wait for no word that nothing follows", async () => {
    const server = new GrpcServer();
    const same = (bytes: Buffer) => bytes;
    const answered = latch<ServerWritableStream<Buffer, Buffer>>();
    const answer = (call: ServerWritableStream<Buffer, Buffer>) => {
      call.write(call.request);
      answered.open(call);
    };
    server.register("/networkservice.NetworkService/Close", answer, same, same, "serverStream");
    const port = await new Promise((resolve, reject) => {
      const bound = (error: Error | null, port: number) => (error === null ? resolve(port) : reject(error));
      server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), bound);
    });
    await using peers = peersWith();
    await peers.networkService().close(call(`tcp://127.0.0.1:${port}`));
    (await answered.opened).end();
    server.forceShutdown();
  });

  it("give up a dial that is never answered", async () => {
    // Accepts, and never says a word of HTTP/2.
    const sockets: Socket[] = [];
    const mute = createServer((socket) => void sockets.push(socket));
    await once(mute.listen(0, "127.0.0.1"), "listening");
    await using peers = peersWith(systemClock, 50);
    const url = `tcp://127.0.0.1:${(mute.address() as AddressInfo).port}`;
    const message = `${url} did not accept a connection within 50 ms; is it running?`;
    await assert.rejects(peers.networkService().request(call(url)), { code: "unreachable", message });
    await assert.rejects(peers.networkService().request(call(url)), { code: "unreachable", message });
    closeAll(mute, sockets);
  });

  it("refuse an address that is none, by name", async () => {
    await using peers = peersWith();
    await assert.rejects(peers.networkService().request(call("http://x")), {
      code: "invalid",
      message: /URL "http:\/\/x" is not understood; use unix/,
    });
  });

  it("call nobody any more once they are disposed", async () => {
    await using server = await start(echo);
    const peers = peersWith();
    await peers[Symbol.asyncDispose]();
    await assert.rejects(peers.networkService().request(call(server.urls[0] ?? "")), { code: "cancelled" });
  });
});

describe("serve", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "isthmus-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it("makes a unix socket with the mode asked for, in a folder that it makes too, and takes it away again", async () => {
    const path = join(folder, "run", "s.sock");
    const server = await serve({ urls: [`unix://${path}`], services: echo, log: silent, hop: "h", socketMode: 0o660 });
    assert.equal(statSync(path).mode & 0o777, 0o660);
    await server[Symbol.asyncDispose]();
    assert.equal(existsSync(path), false);
  });

  it("takes the place of a dead program's socket, never of a living one's", async () => {
    const url = `unix://${join(folder, "s.sock")}`;
    const dead = createServer();
    await once(dead.listen(join(folder, "alive.sock")), "listening");
    await assert.rejects(start(echo, [`unix://${join(folder, "alive.sock")}`]), {
      code: "exists",
      message: /another program answers there/,
    });
    dead.close();
    const script = `require("net").createServer().listen(${JSON.stringify(join(folder, "s.sock"))}, () => process.kill(process.pid, "SIGKILL"))`;
    spawnSync(process.execPath, ["-e", script]);
    assert.equal(existsSync(join(folder, "s.sock")), true);
    await using server = await start(echo, [url]);
    await using peers = peersWith();
    assert.equal(await peers.health(server.urls[0] ?? "", forever), true);
  });

  it("does not remove a file that is no socket", async () => {
    const path = join(folder, "precious");
    writeFileSync(path, "keep me");
    await assert.rejects(start(echo, [`unix://${path}`]), { code: "exists", message: /is no socket; remove it/ });
    assert.equal(statSync(path).size, 7);
  });

  it("listens on all addresses or on none", async () => {
    await using taken = await start(echo);
    const path = join(folder, "s.sock");
    await assert.rejects(start(echo, [`unix://${path}`, taken.urls[0] ?? ""]), {
      code: "exists",
      message: /another program has that address/,
    });
    assert.equal(existsSync(path), false);
    await assert.rejects(start(echo, ["tcp://192.0.2.1:5001"]), { code: "invalid", message: /this machine has no such address/ });
  });

  it("tells a stranger in gRPC's own words what was wrong", async () => {
    await using server = await start(echo);
    const client = new Client(`127.0.0.1:${portOf(server.urls[0])}`, credentials.createInsecure());
    const ask = (bytes: Buffer, metadata = new Metadata()) =>
      new Promise<string>((resolve) => {
        const same = (message: Buffer) => message;
        client.makeUnaryRequest("/networkservice.NetworkService/Request", same, same, bytes, metadata, {}, (error) =>
          resolve(error === null ? "answered" : `${error.code}: ${error.details}`),
        );
      });
    assert.equal(await ask(Buffer.from([10, 0])), "answered");
    assert.match(await ask(Buffer.from([10, 5, 1])), /^3: a NetworkServiceRequest of 3 bytes is malformed/);
    assert.match(await ask(Buffer.from([10, 0, 0, 7])), /^3: a NetworkServiceRequest of 4 bytes is malformed: unexpected data at byte 3/);
    assert.match(await ask(Buffer.alloc(0)), /^3: the request has no connection/);
    assert.match(await ask(Buffer.alloc((1 << 20) + 1)), /^8: Received message larger than max/);
    const twice = new Metadata();
    twice.add("nsm-client-token", "a");
    twice.add("nsm-client-token", "b");
    assert.match(await ask(Buffer.from([10, 0]), twice), /^3: metadata nsm-client-token must hold one token, and be there once/);
    const timeless = new Metadata();
    timeless.set("nsm-client-token", "a");
    timeless.set("nsm-client-token-expires", "tomorrow");
    assert.match(await ask(Buffer.from([10, 0]), timeless), /^3: metadata nsm-client-token-expires must be a time/);
    client.close();
  });

  it("ends a stream whose client was killed", async () => {
    const over = latch<void>();
    const watch = async function* (_: MonitorScopeSelector, signal: AbortSignal) {
      signal.addEventListener("abort", () => over.open(), { once: true });
      yield ConnectionEvent.fromPartial({});
      await new Promise(() => {});
    };
    await using server = await start({ monitor: { watch } });
    const middle = await counter(portOf(server.urls[0]));
    await using peers = peersWith();
    const reader = peers.monitor(middle.url, MonitorScopeSelector.fromPartial({}), forever)[Symbol.asyncIterator]();
    await reader.next();
    middle.close();
    await Promise.all([over.opened, assert.rejects(reader.next(), { code: "unreachable" })]);
  });

  it("lets a running call finish when it stops", async () => {
    const begun = latch<void>();
    const go = latch<void>();
    const request = async () => {
      begun.open();
      await go.opened;
      return Connection.fromPartial({ id: "late" });
    };
    const server = await start({ networkService: { request, close: async () => {} } });
    await using peers = peersWith();
    const answer = peers.networkService().request(call(server.urls[0] ?? ""));
    await begun.opened;
    const stopped = server[Symbol.asyncDispose]();
    go.open();
    assert.equal((await answer).id, "late");
    await stopped;
  });

  it("ends a call that does not finish within the grace", async () => {
    const begun = latch<AbortSignal>();
    const request = async ({ signal }: { signal: AbortSignal }) => {
      begun.open(signal);
      return await new Promise<never>(() => {});
    };
    const server = await start({ networkService: { request, close: async () => {} } });
    await using peers = peersWith();
    const refused = assert.rejects(peers.networkService().request(call(server.urls[0] ?? "")), { code: "unreachable" });
    const signal = await begun.opened;
    await server[Symbol.asyncDispose]();
    await refused;
    if (!signal.aborted) await once(signal, "abort");
  });
});
