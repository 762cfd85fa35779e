import type { Clock } from "../core/clock.js";
import { asMeshError, MeshError } from "../core/error.js";
import type { Link } from "../core/peer.js";
import type { Expected } from "../identity/expected.js";
import type { Identity } from "../identity/identity.js";
import { answering } from "./answering.js";
import { CallingPeers } from "./calling.js";
import { limits } from "./limits.js";
import type { PeerSet } from "./peers.js";
import type { Services } from "./services.js";
import { abortable, deadlineOf, linked, noteDeadline, onAbort, until } from "./signals.js";
import { fromWire, toWire } from "./status.js";
import { at, expired } from "./tls/ending.js";
import type { Answering, Headers, Incoming, Outgoing, Transport } from "./transport.js";

interface Host {
  readonly methods: ReadonlyMap<string, Answering>;
  readonly hop: string;
  readonly identity: Identity | undefined;
  /** Ends when the host stops listening. */
  readonly gone: AbortController;
}

/** The two ends of what would be a connection. */
interface Hands {
  readonly ours: Link;
  readonly theirs: Link;
  /** Hears why it ends when a certificate does, or the trust in one; until what it gives is disposed. */
  untilTheyEnd(end: (reason: MeshError) => void): Disposable[];
}

/** A network in this process: same edge, same bytes, same errors as gRPC, without sockets and without deadlines of its own. */
export class MemoryNetwork {
  readonly #hosts = new Map<string, Host>();

  /** Serves at a URL until disposed; then its callers' calls and streams break as they do when a program dies. */
  listen(url: string, services: Services, hop = url, identity?: Identity): Disposable {
    if (this.#hosts.has(url)) throw new MeshError("exists", `cannot listen on ${url}: another program has that address`);
    const methods = new Map(answering(services).map((method) => [method.path, method]));
    const host = { methods, hop, identity, gone: new AbortController() };
    this.#hosts.set(url, host);
    return {
      [Symbol.dispose]: () => {
        if (this.#hosts.get(url) === host) this.#hosts.delete(url);
        host.gone.abort(new MeshError("unreachable", `nothing answers at ${url} any more; is it running?`));
      },
    };
  }

  /** `expect` says whom to expect at a URL; anybody who is trusted unless given. */
  peers(parts: { readonly clock: Clock; readonly identity?: Identity | undefined; readonly expect?: (url: string) => Expected }): PeerSet {
    return new CallingPeers(new MemoryTransport((url) => this.#hosts.get(url), parts), parts.clock);
  }
}

class MemoryTransport implements Transport {
  readonly #find: (url: string) => Host | undefined;
  readonly #self: { readonly identity?: Identity | undefined; readonly expect?: (url: string) => Expected };
  readonly #closed = new AbortController();

  constructor(
    find: (url: string) => Host | undefined,
    self: { readonly identity?: Identity | undefined; readonly expect?: (url: string) => Expected },
  ) {
    this.#find = find;
    this.#self = self;
  }

  async unary(url: string, path: string, request: Uint8Array, outgoing: Outgoing): Promise<Uint8Array> {
    const { host, method } = this.#reach(url, path);
    checkSize(url, request);
    if (method.kind !== "unary") throw new MeshError("internal", `${path} is a stream`);
    using call = await this.#begin(host, url, outgoing);
    try {
      // Signing took a moment, in which much may have ended.
      call.incoming.signal.throwIfAborted();
      return copy(await abortable(method.answer(copy(request), call.incoming), call.incoming.signal));
    } catch (error) {
      throw this.#failure(error, host, url, outgoing, call);
    }
  }

  async *stream(url: string, path: string, request: Uint8Array, outgoing: Outgoing): AsyncGenerator<Uint8Array> {
    if (outgoing.signal.aborted) return;
    const { host, method } = this.#reach(url, path);
    checkSize(url, request);
    if (method.kind !== "stream") throw new MeshError("internal", `${path} is no stream of answers`);
    yield* this.#answers(host, url, outgoing, (incoming) => method.answer(copy(request), incoming));
  }

  async *duplex(url: string, path: string, requests: AsyncIterable<Uint8Array>, outgoing: Outgoing): AsyncGenerator<Uint8Array> {
    if (outgoing.signal.aborted) return;
    const { host, method } = this.#reach(url, path);
    if (method.kind !== "duplex") throw new MeshError("internal", `${path} is no stream of requests`);
    const sending = new Sending(url, requests);
    try {
      yield* this.#answers(host, url, outgoing, (incoming) => method.answer(sending.read(incoming.signal), incoming));
    } catch (error) {
      throw sending.failure ?? error;
    }
  }

  async *#answers(
    host: Host,
    url: string,
    outgoing: Outgoing,
    answer: (incoming: Incoming) => AsyncIterable<Uint8Array>,
  ): AsyncGenerator<Uint8Array> {
    using call = await this.#begin(host, url, outgoing);
    try {
      call.incoming.signal.throwIfAborted();
      for await (const bytes of until(answer(call.incoming), call.incoming.signal)) yield copy(bytes);
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

  #reach(url: string, path: string): { readonly host: Host; readonly method: Answering } {
    const host = this.#find(url);
    if (host === undefined) throw new MeshError("unreachable", `nothing answers at ${url}; is it running?`);
    const method = host.methods.get(path);
    if (method === undefined) throw new MeshError("unsupported", `${url} does not offer this: ${path}`);
    return { host, method };
  }

  async #begin(
    host: Host,
    url: string,
    outgoing: Outgoing,
  ): Promise<{ readonly incoming: Incoming /** The reader is gone. */; leave(): void } & Disposable> {
    const links = this.#shakeHands(host, url);
    const headers = await outgoing.headers(links?.ours);
    const byCaller = linked(outgoing.signal);
    const byHost = linked(host.gone.signal);
    const byPeers = linked(this.#closed.signal);
    const joined = new AbortController();
    const ending = links?.untilTheyEnd((reason) => joined.abort(reason));
    for (const one of [byCaller, byHost, byPeers]) {
      onAbort(one.signal, () => joined.abort(one.signal.reason));
    }
    const deadline = deadlineOf(outgoing.signal);
    if (deadline !== undefined) noteDeadline(joined.signal, deadline);
    const sendHeaders = (headers: Headers) => outgoing.onHeaders?.(headers);
    return {
      incoming: { signal: joined.signal, headers, link: links?.theirs, sendHeaders },
      leave: () => joined.abort(new MeshError("cancelled", "the caller went away")),
      [Symbol.dispose]() {
        for (const one of [byCaller, byHost, byPeers, ...(ending ?? [])]) one[Symbol.dispose]();
      },
    };
  }

  /** As TLS would: each side shows what it has now, and looks at what the other shows. */
  #shakeHands({ identity: theirs }: Host, url: string): Hands | undefined {
    const { identity: ours, expect } = this.#self;
    if (ours === undefined && theirs === undefined) return undefined;
    if (ours === undefined || theirs === undefined)
      throw new MeshError("unreachable", `${url} ${theirs === undefined ? "speaks no TLS" : "wants TLS and a certificate"}`);
    const [here, there] = [ours.source.current, theirs.source.current];
    const host = ours.peerOf(there.chain);
    const expected = expect?.(url);
    if (expected?.matches(host.id) === false) throw new MeshError("denied", `${url} is ${host.id}, which is not ${expected.what}`);
    return {
      ours: { peer: host, self: here.id.text, tokens: ours.tokensBy(here) },
      theirs: { peer: theirs.peerOf(here.chain), self: there.id.text, tokens: theirs.tokensBy(there) },
      untilTheyEnd: (end) => [
        at(ours.clock, Math.min(here.notAfter, there.notAfter), () => end(expired())),
        ours.onDistrust(there.chain, () => end(new MeshError("unreachable", `${host.id} is not trusted any more`))),
        theirs.onDistrust(here.chain, () => end(new MeshError("unreachable", `${url} hung up`))),
      ],
    };
  }

  /** What the caller sees: its own reason, the host's end, or what the host answered, by way of the wire's form. */
  #failure(error: unknown, host: Host, url: string, outgoing: Outgoing, call: { readonly incoming: Incoming }): MeshError {
    if (outgoing.signal.aborted) return asMeshError(outgoing.signal.reason);
    if (call.incoming.signal.aborted) return asMeshError(call.incoming.signal.reason);
    return fromWire(toWire(error, host.hop), url);
  }
}

/** What a caller says, as it crosses the network; `failure` is why there is no more of it, where that is the caller's own. */
class Sending {
  readonly #url: string;
  readonly #requests: AsyncIterable<Uint8Array>;
  failure: unknown;

  constructor(url: string, requests: AsyncIterable<Uint8Array>) {
    this.#url = url;
    this.#requests = requests;
  }

  async *read(signal: AbortSignal): AsyncGenerator<Uint8Array> {
    try {
      for await (const request of until(this.#requests, signal)) {
        checkSize(this.#url, request);
        yield copy(request);
      }
    } catch (error) {
      this.failure = error;
      throw error;
    }
  }
}

function checkSize(url: string, { length }: Uint8Array): void {
  if (length > limits.message)
    throw new MeshError("invalid", `the message is too large for ${url}: ${length} bytes, at most ${limits.message} are allowed`);
}

/** Nobody shares memory across a network. */
function copy(bytes: Uint8Array): Uint8Array {
  return bytes.slice();
}
