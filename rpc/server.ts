import type { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import {
  type ConnectionInjector,
  type Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
} from "@grpc/grpc-js";
import { asMeshError, MeshError } from "../core/error.js";
import type { Log } from "../core/log.js";
import type { Identity } from "../identity/identity.js";
import { answering } from "./answering.js";
import { limits } from "./limits.js";
import { type Listener, listen } from "./listen.js";
import { readHeaders, writeHeaders } from "./metadata.js";
import type { Services } from "./services.js";
import { linked, noteDeadline, onAbort, until } from "./signals.js";
import { toWire } from "./status.js";
import { type Timing, timed } from "./timed.js";
import { accept, type Guest, guestOf } from "./tls/accept.js";
import type { Answering, Headers, Incoming } from "./transport.js";
import { buffer, writeAll } from "./writing.js";

export type { Services } from "./services.js";

/** A server that listens. Disposing ends streams at once, gives running calls a moment to finish, then ends them too. */
export interface RunningServer extends AsyncDisposable {
  /** What is really bound: a port 0 is replaced by the port that was given. */
  readonly urls: readonly string[];
}

export interface ServeParts {
  readonly urls: readonly string[];
  readonly services: Services;
  readonly log: Log;
  /** What it shows, and whom it lets in. Without it there is no TLS: for the sockets of isthmus.v1. */
  readonly identity?: Identity | undefined;
  /** The program's NSM_NAME; the hop in errors that start here. */
  readonly hop: string;
  /** What hears how long calls took. */
  readonly timing?: Timing | undefined;
  readonly limits?: { readonly messageBytes?: number | undefined; readonly graceMs?: number | undefined } | undefined;
  /** Permissions of unix sockets, 0o600 unless given. */
  readonly socketMode?: number | undefined;
}

/** Listens on all URLs or on none. */
export async function serve(parts: ServeParts): Promise<RunningServer> {
  const stopping = new AbortController();
  const server = new Server({
    "grpc.max_receive_message_length": parts.limits?.messageBytes ?? limits.message,
    "grpc.max_send_message_length": -1,
    "grpc.enable_channelz": 0,
    // A client that vanished without a word still holds its streams here.
    "grpc.keepalive_time_ms": 20_000,
    "grpc.keepalive_timeout_ms": 5_000,
  });
  const edge = new Edge(parts, stopping.signal);
  const methods = timed(answering(parts.services), parts.timing);
  for (const method of methods) edge.add(server, method);
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const listeners = await listenOnAll(parts, doorOf(parts, methods, injector)).catch((error: unknown) => {
    server.forceShutdown();
    throw error;
  });
  return {
    urls: listeners.map((listener) => listener.url),
    async [Symbol.asyncDispose]() {
      for (const listener of listeners) listener.close();
      stopping.abort(new MeshError("unreachable", `${parts.hop} is stopping`, { hop: parts.hop }));
      await stopped(server, listeners, AbortSignal.timeout(parts.limits?.graceMs ?? 2_000));
    },
  };
}

/** Where a new connection goes: to gRPC, by way of TLS where there is an identity. */
function doorOf({ identity, log }: ServeParts, methods: readonly Answering[], injector: ConnectionInjector): (socket: Socket) => void {
  const letIn = (socket: Socket) => injector.injectConnection(socket);
  if (identity === undefined) return letIn;
  const joiners = methods.some((method) => method.open);
  return (socket) => accept(socket, { identity, joiners, log }, letIn);
}

async function listenOnAll(parts: ServeParts, onConnection: (socket: Socket) => void): Promise<Listener[]> {
  const listeners: Listener[] = [];
  try {
    for (const url of parts.urls) listeners.push(await listen(url, { mode: parts.socketMode ?? 0o600, onConnection }));
    return listeners;
  } catch (error) {
    for (const listener of listeners) listener.close();
    throw error;
  }
}

function stopped(server: Server, listeners: readonly Listener[], patience: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    server.tryShutdown(() => resolve());
    onAbort(patience, () => {
      server.forceShutdown();
      // Without channelz grpc-js 1.14 forgets its sessions here.
      for (const listener of listeners) listener.cut();
      resolve();
    });
  });
}

/** Between gRPC's calls and ours: signals, metadata, errors, and the pace of a stream. */
class Edge {
  readonly #hop: string;
  readonly #log: Log;
  readonly #secured: boolean;
  readonly #stopping: AbortSignal;

  constructor({ hop, log, identity }: ServeParts, stopping: AbortSignal) {
    this.#hop = hop;
    this.#log = log;
    this.#secured = identity !== undefined;
    this.#stopping = stopping;
  }

  add(server: Server, method: Answering): void {
    const same = (bytes: Buffer) => bytes;
    const { path } = method;
    if (method.kind === "unary") {
      const answer = (call: UnaryCall, respond: Respond) => void this.#unary(method, call, respond);
      server.register(path, answer, same, same, "unary");
    } else if (method.kind === "stream") {
      const answer = (call: StreamCall) => void this.#answers(method, call, (incoming) => method.answer(call.request, incoming));
      server.register(path, answer, same, same, "serverStream");
    } else {
      // Who answers may stop reading and still has something to say, if only an error.
      const requests = (call: DuplexCall) => call.iterator({ destroyOnReturn: false });
      const answer = (call: DuplexCall) =>
        void this.#answers(method, call, (incoming) => method.answer(until(requests(call), incoming.signal), incoming));
      server.register(path, answer, same, same, "bidi");
    }
  }

  async #unary(method: Answering & { kind: "unary" }, call: UnaryCall, respond: Respond): Promise<void> {
    using signal = signalOf(call, undefined);
    try {
      respond(null, buffer(await method.answer(call.request, this.#incoming(method, call, signal.signal))));
    } catch (error) {
      respond(this.#failure(method.path, error));
    }
  }

  async #answers(
    method: Answering,
    call: StreamCall | DuplexCall,
    answer: (incoming: Incoming) => AsyncIterable<Uint8Array>,
  ): Promise<void> {
    using signal = signalOf(call, this.#stopping);
    const life = this.#guestOf(call)?.life;
    using _tie = life && onAbort(life, () => signal.abort(life.reason));
    try {
      await writeAll(call, answer(this.#incoming(method, call, signal.signal)), signal.signal);
      if (signal.signal.aborted && !call.cancelled) throw signal.signal.reason;
      call.end();
    } catch (error) {
      call.emit("error", this.#failure(method.path, error));
    }
  }

  #incoming(method: Answering, call: AnyCall, signal: AbortSignal): Incoming {
    const guest = this.#guestOf(call);
    if (guest?.isOver() === true) {
      // A client of ours has taken another connection long before; one of NSM's takes another when this one breaks.
      guest.hangUp();
      throw new MeshError("unreachable", "a certificate that this connection was made with has expired; connect again");
    }
    if (this.#secured && guest?.link === undefined && !(guest !== undefined && method.open))
      throw new MeshError("denied", `who has no identity yet may only join here, not call ${method.path}`);
    const sendHeaders = (headers: Headers) => call.sendMetadata(writeHeaders(headers));
    return { signal, headers: readHeaders(call.metadata), link: guest?.link, key: guest?.key, sendHeaders };
  }

  #guestOf(call: AnyCall): Guest | undefined {
    return this.#secured ? guestOf(call.getAuthContext().sslPeerCertificate) : undefined;
  }

  #failure(path: string, error: unknown) {
    const { code, details, trailers } = toWire(error, this.#hop);
    const failure = asMeshError(error);
    if (failure.code === "internal") this.#log.error("call failed", { path, error });
    else this.#log.debug("call refused", { path, code: failure.code, reason: details });
    return { name: "ServiceError", message: details, code, details, metadata: writeHeaders(trailers) };
  }
}

type UnaryCall = ServerUnaryCall<Buffer, Buffer>;
type StreamCall = ServerWritableStream<Buffer, Buffer>;
type DuplexCall = ServerDuplexStream<Buffer, Buffer>;
type AnyCall = UnaryCall | StreamCall | DuplexCall;
type Respond = (error: { code: number; details: string; metadata: Metadata } | null, value?: Buffer) => void;

/** Ends when the caller goes away or its deadline passes, or with `also`; not by the call's own good end. */
function signalOf(call: AnyCall, also: AbortSignal | undefined): AbortController & Disposable {
  const controller = linked(also);
  const unlink = controller[Symbol.dispose];
  const cancelled = () => controller.abort(new MeshError("cancelled", "the caller went away, or its time is over"));
  if (call.cancelled) cancelled();
  const events: EventEmitter = call;
  events.once("cancelled", cancelled);
  const deadline = call.getDeadline();
  if (typeof deadline === "number" && Number.isFinite(deadline)) noteDeadline(controller.signal, deadline);
  return Object.assign(controller, {
    [Symbol.dispose]() {
      unlink();
      events.off("cancelled", cancelled);
    },
  });
}
