import type { Connection, Mechanism } from "../api/gen/connection/connection.js";
import { background } from "./background.js";
import type { Call, Element, Handler, Token } from "./chain.js";
import { afresh } from "./deadline.js";
import { asMeshError, MeshError } from "./error.js";
import type { Log } from "./log.js";
import { type Held, mergeRequest, withCallersPath } from "./merge.js";
import { previousSegment } from "./path.js";
import { RecentIds } from "./recentIds.js";
import { Serial } from "./serial.js";
import { UP } from "./states.js";

/**
 * The connections of one chain, and the one place that orders what happens to them:
 * - Exclusive: for one id, requests and closes run one at a time, in the order they came, also those from inside.
 * - Merging: what this hop changed since its last answer wins over a caller that repeats that answer.
 * - Closing: a close runs to its end even when its caller has gone, and succeeds where there is nothing to close.
 *   An id that is not known is passed on all the same: an earlier run of this program may have had it.
 * - One per caller's id: a caller that comes again without remembering what it has (restarted, or gave up before the answer came)
 *   gets its old connection closed before the new one is made.
 * - A first request that succeeds after its caller has gone is closed again: nobody would.
 */
export interface Begin extends Element {
  /** As the last successful request left it, with this hop's own id and index. */
  current(id: string): Connection | undefined;
  list(): Connection[];
  /** The connections that a call with this one would change: the one of its id, and the one that its caller had before. */
  touched(conn: Connection): Connection[];
  /** Runs the rest of the chain again with the last connection and preferences. "not-found" for an unknown id. */
  again(id: string, change?: (call: Call) => Call, signal?: AbortSignal): Promise<Connection>;
  /** Closes from inside; success for an unknown id. With `still`, only where that holds when the close's turn comes. */
  end(id: string, signal?: AbortSignal, still?: () => boolean): Promise<void>;
  /** Takes over a connection that an earlier run of this program had (`connection.id` and `path.index` are this hop's). */
  adopt(connection: Connection, preferences?: readonly Mechanism[]): void;
  /** What `again` and `end` run before any request came through. The assembly calls it. */
  bind(next: Handler): void;
}

export function begin(parts: { readonly log: Log }): Begin {
  return new Connections(parts.log);
}

interface Entry extends Held {
  readonly caller: Token | undefined;
}

/** How long a new request waits for the close of what its caller has forgotten. */
const farewell = 3000;

/** What a close answers that there is nothing to close. */
const nothingThere: ReadonlySet<string> = new Set(["not-found", "no-endpoint", "no-forwarder"]);

class Connections implements Begin {
  readonly name = "begin";
  readonly #log: Log;
  readonly #serial = new Serial();
  readonly #entries = new Map<string, Entry>();
  /** Our id by the caller's: name and id of the previous segment. */
  readonly #byCaller = new Map<string, string>();
  /** What this run has closed is not there, whatever a path says; of `cleared` nothing is left behind us either. */
  readonly #closed = new RecentIds(4096);
  readonly #cleared = new RecentIds(4096);
  #next: Handler | undefined;

  constructor(log: Log) {
    this.#log = log;
  }

  bind(next: Handler): void {
    this.#next = next;
  }

  current(id: string): Connection | undefined {
    return this.#entries.get(id)?.current;
  }

  list(): Connection[] {
    return [...this.#entries.values()].map(({ current }) => current);
  }

  touched(conn: Connection): Connection[] {
    const ids = new Set([conn.id, this.#byCaller.get(callersKey(conn) ?? "") ?? conn.id]);
    return [...ids].flatMap((id) => this.current(id) ?? []);
  }

  adopt(connection: Connection, preferences: readonly Mechanism[] = []): void {
    if (!this.#entries.has(connection.id)) this.#keep({ current: connection, returned: connection, preferences, caller: undefined });
  }

  async request(call: Call, next: Handler): Promise<Connection> {
    this.#next ??= next;
    const { id } = call.connection;
    if (id === "") throw new MeshError("invalid", "the connection has no id");
    return this.#serial.run(id, () => this.#request(call, next));
  }

  async #request(call: Call, next: Handler): Promise<Connection> {
    if (call.signal.aborted) throw asMeshError(call.signal.reason, "cancelled");
    const { id } = call.connection;
    const entry = this.#entries.get(id);
    const established = entry !== undefined || (call.established === true && !this.#closed.has(id));
    await this.#closeStale(call.connection);
    const asked = { ...call, ...(entry === undefined ? {} : mergeRequest(call, entry)), established };
    const answer = { ...(await next.request(asked)), state: UP };
    if (!established && call.signal.aborted) await this.#takeBack(answer, call, next);
    this.#keep({ current: answer, returned: answer, preferences: asked.preferences, caller: call.caller });
    return answer;
  }

  close(call: Call, next: Handler): Promise<void> {
    this.#next ??= next;
    const id = this.#closing(call);
    return this.#serial.run(id, () => this.#close(id, call, next));
  }

  async #close(id: string, call: Call, next: Handler): Promise<void> {
    const entry = this.#entries.get(id);
    if (entry !== undefined && callersKey(entry.current) !== callersKey(call.connection)) {
      // Handed over to another caller since: what the former one lets go of is not its any more.
      this.#log.info("close by a former caller ignored", { connection: id });
      return;
    }
    if (entry === undefined && this.#cleared.has(id)) return;
    const connection = entry === undefined ? call.connection : withCallersPath(entry.current, call.connection);
    try {
      await next.close({ ...call, connection, signal: afresh() });
      this.#cleared.add(id);
    } catch (error) {
      if (entry !== undefined || !nothingThere.has(asMeshError(error).code)) throw error;
    } finally {
      this.#forget(id);
    }
  }

  async again(id: string, change: (call: Call) => Call = (call) => call, signal = new AbortController().signal): Promise<Connection> {
    return this.#serial.run(id, async () => {
      const entry = this.#entries.get(id);
      if (entry === undefined) throw new MeshError("not-found", `there is no connection ${JSON.stringify(id)} here (any more)`);
      if (signal.aborted) throw asMeshError(signal.reason, "cancelled");
      const { current: connection, preferences, caller } = entry;
      const answer = await this.#bound().request({ ...change({ connection, preferences, caller, signal }), established: true });
      const current = { ...answer, state: UP };
      this.#keep({ ...entry, current });
      return current;
    });
  }

  async end(id: string, signal?: AbortSignal, still: () => boolean = () => true): Promise<void> {
    return this.#serial.run(id, async () => {
      const entry = this.#entries.get(id);
      if (entry === undefined || !still()) return;
      try {
        await this.#bound().close({ connection: entry.current, preferences: [], caller: entry.caller, signal: signal ?? afresh() });
        this.#cleared.add(id);
      } finally {
        this.#forget(id);
      }
    });
  }

  /** The connection that a close means: the caller may not know our id, when our answer never reached it. */
  #closing(call: Call): string {
    const { id } = call.connection;
    if (this.#entries.has(id) || call.established === true) return id;
    return this.#byCaller.get(callersKey(call.connection) ?? "") ?? id;
  }

  async #closeStale(conn: Connection): Promise<void> {
    const stale = this.#byCaller.get(callersKey(conn) ?? "");
    if (stale === undefined || stale === conn.id) return;
    this.#log.info("caller came again with a new id", { connection: conn.id, stale });
    await this.end(stale, afresh(farewell)).catch((error: unknown) =>
      this.#log.warn("stale connection not closed", {
        connection: stale,
        code: asMeshError(error).code,
        message: asMeshError(error).message,
      }),
    );
  }

  async #takeBack(answer: Connection, call: Call, next: Handler): Promise<never> {
    const { id } = answer;
    this.#log.info("caller has gone, undone", { connection: id });
    try {
      await next.close({ connection: answer, preferences: [], caller: call.caller, signal: afresh() });
    } finally {
      this.#closed.add(id);
    }
    throw asMeshError(call.signal.reason, "cancelled");
  }

  #keep(entry: Entry): void {
    const { id } = entry.current;
    this.#forgetCaller(id);
    this.#entries.set(id, entry);
    this.#closed.delete(id);
    this.#cleared.delete(id);
    const key = callersKey(entry.current);
    if (key === undefined) return;
    const other = this.#byCaller.get(key);
    this.#byCaller.set(key, id);
    if (other !== undefined && other !== id) background(this.#log, "closing a stale connection", this.end(other), { connection: other });
  }

  #forget(id: string): void {
    this.#forgetCaller(id);
    this.#entries.delete(id);
    this.#closed.add(id);
  }

  #forgetCaller(id: string): void {
    const key = callersKey(this.#entries.get(id)?.current);
    if (key !== undefined && this.#byCaller.get(key) === id) this.#byCaller.delete(key);
  }

  #bound(): Handler {
    if (this.#next === undefined) throw new MeshError("internal", "begin is in no chain yet");
    return this.#next;
  }
}

function callersKey(conn: Connection | undefined): string | undefined {
  const caller = conn === undefined ? undefined : previousSegment(conn);
  return caller === undefined ? undefined : JSON.stringify([caller.name, caller.id]);
}
