import type { Method } from "./methods.js";
import type { Answering, Incoming } from "./transport.js";

/** Binds a method to what answers it: decoded and checked in, encoded out. */
export function unary<Q, A>(method: Method<Q, A>, handle: (request: Q, incoming: Incoming) => Promise<A>, open = false): Answering {
  return {
    kind: "unary",
    path: method.path,
    open,
    answer: async (bytes, incoming) => method.response.encode(await handle(method.request.decode(bytes), incoming)),
  };
}

export function stream<Q, A>(method: Method<Q, A>, handle: (request: Q, incoming: Incoming) => AsyncIterable<A>): Answering {
  return {
    kind: "stream",
    path: method.path,
    async *answer(bytes, incoming) {
      for await (const message of handle(method.request.decode(bytes), incoming)) yield method.response.encode(message);
    },
  };
}

/** Both sides say many things; the caller's are decoded and checked as they are read. */
export function duplex<Q, A>(
  method: Method<Q, A>,
  handle: (requests: AsyncIterable<Q>, incoming: Incoming) => AsyncIterable<A>,
): Answering {
  return {
    kind: "duplex",
    path: method.path,
    async *answer(requests, incoming) {
      for await (const message of handle(decoded(requests), incoming)) yield method.response.encode(message);
    },
  };

  async function* decoded(requests: AsyncIterable<Uint8Array>): AsyncGenerator<Q> {
    for await (const bytes of requests) yield method.request.decode(bytes);
  }
}
