import { asMeshError, MeshError } from "../core/error.js";
import type { TokenSource } from "../core/token.js";
import { answering } from "./answering.js";
import { CallingPeers } from "./calling.js";
import { limits } from "./limits.js";
import type { PeerSet } from "./peers.js";
import type { Services } from "./services.js";
import { abortable, deadlineOf, linked, noteDeadline, onAbort, until } from "./signals.js";
import { fromWire, toWire } from "./status.js";
import type { Answering, Headers, Incoming, Outgoing, Transport } from "./transport.js";

interface Host {
  readonly methods: ReadonlyMap<string, Answering>;
  readonly hop: string;
  /** Ends when the host stops listening. */
  readonly gone: AbortController;
}

/** A network in this process: same edge, same bytes, same errors as gRPC, without sockets and without deadlines of its own. */
export class MemoryNetwork {
  readonly #hosts = new Map<string, Host>();

  /** Serves at a URL until disposed; then its callers' calls and streams break as they do when a program dies. */
  listen(url: string, services: Services, hop = url): Disposable {
    if (this.#hosts.has(url)) throw new MeshError("exists", `cannot listen on ${url}: another program has that address`);
    const methods = new Map(answering(services).map((method) => [method.path, method]));
    const host = { methods, hop, gone: new AbortController() };
    this.#hosts.set(url, host);
    return {
      [Symbol.dispose]: () => {
        if (this.#hosts.get(url) === host) this.#hosts.delete(url);
        host.gone.abort(new MeshError("unreachable", `nothing answers at ${url} any more; is it running?`));
      },
    };
  }

  peers(parts: { readonly tokens: TokenSource }): PeerSet {
    return new CallingPeers(new MemoryTransport((url) => this.#hosts.get(url)), parts.tokens);
  }
}

class MemoryTransport implements Transport {
  readonly #find: (url: string) => Host | undefined;
  readonly #closed = new AbortController();

  constructor(find: (url: string) => Host | undefined) {
    this.#find = find;
  }

  async unary(url: string, path: string, request: Uint8Array, outgoing: Outgoing): Promise<Uint8Array> {
    const { host, method } = this.#reach(url, path, request);
    if (method.kind !== "unary") throw new MeshError("internal", `${path} is a stream`);
    using call = this.#begin(host, outgoing);
    try {
      return copy(await abortable(method.answer(copy(request), call.incoming), call.incoming.signal));
    } catch (error) {
      throw this.#failure(error, host, url, outgoing, call);
    }
  }

  async *stream(url: string, path: string, request: Uint8Array, outgoing: Outgoing): AsyncGenerator<Uint8Array> {
    if (outgoing.signal.aborted) return;
    const { host, method } = this.#reach(url, path, request);
    if (method.kind !== "stream") throw new MeshError("internal", `${path} is no stream`);
    using call = this.#begin(host, outgoing);
    try {
      for await (const answer of until(method.answer(copy(request), call.incoming), call.incoming.signal)) yield copy(answer);
      if (call.incoming.signal.aborted) throw call.incoming.signal.reason;
    } catch (error) {
      if (!outgoing.signal.aborted) throw this.#failure(error, host, url, outgoing, call);
    } finally {
      call.leave();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort(new MeshError("cancelled", "these peers are closed"));
  }

  #reach(url: string, path: string, request: Uint8Array): { readonly host: Host; readonly method: Answering } {
    const host = this.#find(url);
    if (host === undefined) throw new MeshError("unreachable", `nothing answers at ${url}; is it running?`);
    const method = host.methods.get(path);
    if (method === undefined) throw new MeshError("unsupported", `${url} does not offer this: ${path}`);
    if (request.length > limits.message)
      throw new MeshError("invalid", `the message is too large for ${url}: ${request.length} bytes, at most ${limits.message} are allowed`);
    return { host, method };
  }

  #begin(host: Host, outgoing: Outgoing): { readonly incoming: Incoming /** The reader is gone. */; leave(): void } & Disposable {
    const byCaller = linked(outgoing.signal);
    const byHost = linked(host.gone.signal);
    const byPeers = linked(this.#closed.signal);
    const joined = new AbortController();
    for (const one of [byCaller, byHost, byPeers]) {
      onAbort(one.signal, () => joined.abort(one.signal.reason));
    }
    const deadline = deadlineOf(outgoing.signal);
    if (deadline !== undefined) noteDeadline(joined.signal, deadline);
    const sendHeaders = (headers: Headers) => outgoing.onHeaders?.(headers);
    return {
      incoming: { signal: joined.signal, headers: outgoing.headers, sendHeaders },
      leave: () => joined.abort(new MeshError("cancelled", "the caller went away")),
      [Symbol.dispose]() {
        for (const one of [byCaller, byHost, byPeers]) one[Symbol.dispose]();
      },
    };
  }

  /** What the caller sees: its own reason, the host's end, or what the host answered, by way of the wire's form. */
  #failure(error: unknown, host: Host, url: string, outgoing: Outgoing, call: { readonly incoming: Incoming }): MeshError {
    if (outgoing.signal.aborted) return asMeshError(outgoing.signal.reason);
    if (call.incoming.signal.aborted) return asMeshError(call.incoming.signal.reason);
    return fromWire(toWire(error, host.hop), url);
  }
}

/** Nobody shares memory across a network. */
function copy(bytes: Uint8Array): Uint8Array {
  return bytes.slice();
}
