import type { Connection } from "../api/gen/connection/connection.js";
import { type Call, chain, type Element, end, type Handler } from "./chain.js";
import { afresh } from "./deadline.js";
import { asMeshError, MeshError } from "./error.js";

const undoing = new WeakSet<Element>();

/**
 * The element with rollback: when a first request fails at it or behind it, its `close` undoes what its `request` did,
 * and closes what lies behind it only where that had succeeded. A failed refresh undoes nothing: the connection may well work.
 * The undo has a deadline of its own. So a `close` must bear that its `request` got nowhere.
 */
export function undoOnFailure(element: Element): Element {
  const inner = element.request?.bind(element);
  if (inner === undefined || undoing.has(element)) return element;
  const undoable: Element = {
    ...element,
    name: element.name,
    async request(call, next) {
      if (call.established) return inner(call, next);
      const behind = new Behind(next);
      try {
        return await inner(call, behind);
      } catch (error) {
        throw await undo(element, call, behind, error);
      }
    },
    ...(element.close === undefined ? {} : { close: element.close.bind(element) }),
  };
  undoing.add(undoable);
  return undoable;
}

/** The rest of the chain, and what it has built that nobody has closed. */
class Behind implements Handler {
  built: Connection | undefined;
  readonly #next: Handler;

  constructor(next: Handler) {
    this.#next = next;
  }

  async request(call: Call): Promise<Connection> {
    this.built = await this.#next.request(call);
    return this.built;
  }

  async close(call: Call): Promise<void> {
    this.built = undefined;
    await this.#next.close(call);
  }
}

/** Resolves to the error to throw: the one that there was, with a word on the undo where that failed too. */
async function undo(element: Element, call: Call, behind: Behind, error: unknown): Promise<unknown> {
  const rest: Handler = behind.built === undefined ? end : behind;
  try {
    await chain([element], rest).close({ ...call, connection: behind.built ?? call.connection, preferences: [], signal: afresh() });
    return error;
  } catch (undoError) {
    const { code, message, hop } = asMeshError(error);
    return new MeshError(code, `${message}; and undoing it at ${element.name} failed: ${asMeshError(undoError).message}`, {
      cause: error,
      hop,
    });
  }
}
