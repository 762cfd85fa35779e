import type { TokenSource } from "../core/token.js";
import { pathHeaders, pathOf, tokenHeaders } from "./headers.js";
import type { Method } from "./methods.js";
import type { RegistryContext } from "./registry.js";
import type { Headers, Transport } from "./transport.js";

/** How long a call may take where nobody said. */
export const defaultPatienceMs = 15_000;

export interface CallOptions {
  readonly signal: AbortSignal;
  readonly context?: RegistryContext | undefined;
  readonly patienceMs?: number | undefined;
}

/** Calls methods at URLs: encodes, adds this process's token, decodes and checks what comes back. */
export class Caller {
  readonly #transport: Transport;
  readonly #tokens: TokenSource;

  constructor(transport: Transport, tokens: TokenSource) {
    this.#transport = transport;
    this.#tokens = tokens;
  }

  async unary<Q, A>(url: string, method: Method<Q, A>, request: Q, options: CallOptions): Promise<A> {
    const bytes = await this.#transport.unary(url, method.path, method.request.encode(request), {
      signal: options.signal,
      headers: await this.#headers(options.context),
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
    const headers = await this.#headers(options.context);
    const { signal, patienceMs } = options;
    for await (const bytes of this.#transport.stream(url, method.path, method.request.encode(request), { signal, headers, patienceMs }))
      yield method.response.decode(bytes);
  }

  async #headers(context: RegistryContext | undefined): Promise<Headers> {
    return { ...tokenHeaders(await this.#tokens()), ...pathHeaders(context?.path) };
  }
}
