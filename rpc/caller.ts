import type { Link } from "../core/peer.js";
import type { Trace } from "../core/trace.js";
import { pathHeaders, pathOf, tokenHeaders, traceHeaders } from "./headers.js";
import type { Method } from "./methods.js";
import type { RegistryContext } from "./registry.js";
import type { Headers, Outgoing, Transport } from "./transport.js";

/** How long a call may take where nobody said. */
export const defaultPatienceMs = 15_000;

export interface CallOptions {
  readonly signal: AbortSignal;
  readonly context?: RegistryContext | undefined;
  readonly patienceMs?: number | undefined;
  readonly trace?: Trace | undefined;
  /** Metadata besides the caller's token. */
  readonly headers?: Headers | undefined;
  /** Hears, before the call, by which connection it goes. */
  readonly onLink?: ((link: Link | undefined) => void) | undefined;
}

/** Calls methods at URLs: encodes, adds a token for the peer, decodes and checks what comes back. */
export class Caller {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  async unary<Q, A>(url: string, method: Method<Q, A>, request: Q, options: CallOptions): Promise<A> {
    const bytes = await this.#transport.unary(url, method.path, method.request.encode(request), {
      signal: options.signal,
      headers: (link) => headersFor(link, options),
      onHeaders: (headers) => {
        const path = pathOf(headers);
        if (path !== undefined) options.context?.returnPath?.(path);
      },
      patienceMs: options.patienceMs ?? defaultPatienceMs,
    });
    return method.response.decode(bytes);
  }

  /** Without `patienceMs` it lasts as long as the signal. */
  async *stream<Q, A>(url: string, method: Method<Q, A>, request: Q, options: CallOptions): AsyncGenerator<A> {
    for await (const bytes of this.#transport.stream(url, method.path, method.request.encode(request), lasting(options)))
      yield method.response.decode(bytes);
  }

  /** As `stream`, with as many requests as there are. */
  async *duplex<Q, A>(url: string, method: Method<Q, A>, requests: AsyncIterable<Q>, options: CallOptions): AsyncGenerator<A> {
    for await (const bytes of this.#transport.duplex(url, method.path, encoded(method, requests), lasting(options)))
      yield method.response.decode(bytes);
  }
}

function lasting(options: CallOptions): Outgoing {
  return { headers: (link) => headersFor(link, options), signal: options.signal, patienceMs: options.patienceMs };
}

async function* encoded<Q>(method: Method<Q, unknown>, requests: AsyncIterable<Q>): AsyncGenerator<Uint8Array> {
  for await (const request of requests) yield method.request.encode(request);
}

/** A token goes only to whom it was made for. */
async function headersFor(link: Link | undefined, { context, trace, headers, onLink }: CallOptions): Promise<Headers> {
  onLink?.(link);
  return { ...(link && tokenHeaders(await link.tokens(link.peer.id))), ...pathHeaders(context?.path), ...traceHeaders(trace), ...headers };
}
