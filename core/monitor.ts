import type { Connection, ConnectionEvent, ConnectionEventType, MonitorScopeSelector } from "../api/gen/connection/connection.js";
import { idsBefore } from "./authorize.js";
import type { Element } from "./chain.js";
import { MeshError } from "./error.js";
import type { Listener, Own } from "./listen.js";
import { MultiMap } from "./multiMap.js";
import { DELETE, DOWN, INITIAL_STATE_TRANSFER, UP, UPDATE } from "./states.js";
import { Hearer, pathIds, pinnedId, selects, Watcher } from "./watcher.js";

/**
 * Tells whoever watches what happens to this hop's connections. They carry this hop's own id and index.
 * With one watcher per connection, as NSM's clients do it, a change still costs the same whatever their number.
 */
export class Monitor {
  /** Sits in the server chain: success publishes UPDATE, a failed refresh UPDATE with state DOWN, a close DELETE. */
  readonly element: Element = {
    name: "monitor",
    request: async (call, next) => {
      try {
        const conn = await next.request(call);
        this.adopt({ ...conn, state: UP });
        return conn;
      } catch (error) {
        // A caller that lost its patience says nothing about the connection.
        if (!call.signal.aborted) this.#failed(call.connection.id);
        throw error;
      }
    },
    close: async (call, next) => {
      try {
        await next.close(call);
      } finally {
        this.#forget(call.connection.id);
      }
    },
  };

  readonly #connections = new Map<string, Connection>();
  /** Connections, and watchers that pin one, by an id in the path. */
  readonly #byId = new MultiMap<string, string>();
  readonly #pinned = new MultiMap<string, Watcher | Hearer>();
  readonly #wide = new Set<Watcher>();

  /**
   * First always INITIAL_STATE_TRANSFER, as of the first read, then what changes. Ends with the signal.
   * A reader that is slow gets the latest per id and not what was in between, so what waits for it is bounded by the connections there are.
   * A `viewer` (a SPIFFE id) sees the connections whose path it is on; one that asks by id for another's only is refused ("denied").
   */
  async *watch(selector: MonitorScopeSelector, signal: AbortSignal, viewer?: string): AsyncIterable<ConnectionEvent> {
    const watcher = new Watcher(selector, viewer === undefined ? undefined : (conn) => idsBefore(conn).includes(viewer));
    if (viewer !== undefined) this.#mustConcern(watcher, viewer);
    const stop = () => {
      this.#remove(watcher);
      watcher.wake();
    };
    signal.addEventListener("abort", stop);
    if (!signal.aborted) this.#add(watcher);
    try {
      yield event(INITIAL_STATE_TRANSFER, this.#selected(watcher));
      while (!signal.aborted) {
        const change = watcher.take();
        if (change === undefined) await watcher.something();
        else yield event(change.type, [change.connection]);
      }
    } finally {
      signal.removeEventListener("abort", stop);
      stop();
    }
  }

  /** As `watch`, of one connection and for a part of this program: at rest it costs next to nothing. It never ends by itself. */
  listen(own: Own, listener: Listener): Disposable {
    const hearer = new Hearer(own, listener, this.#pinned);
    const known = [...this.#byId.get(own.id)].flatMap((id) => this.get(id) ?? []).filter((conn) => hearer.wants(conn));
    hearer.say(event(INITIAL_STATE_TRANSFER, known));
    return hearer;
  }

  /** Publishes a changed connection (state, metrics) of a known id; others are ignored. */
  update(conn: Connection): void {
    if (this.#connections.has(conn.id)) this.adopt(conn);
  }

  /** Publishes a connection, known or not: also one that an earlier run of this program had. */
  adopt(conn: Connection): void {
    this.#unindex(conn.id);
    this.#connections.set(conn.id, conn);
    for (const id of pathIds(conn)) this.#byId.add(id, conn.id);
    this.#publish(UPDATE, conn);
  }

  list(): Connection[] {
    return [...this.#connections.values()];
  }

  get(id: string): Connection | undefined {
    return this.#connections.get(id);
  }

  #failed(id: string): void {
    const conn = this.#connections.get(id);
    if (conn !== undefined) this.adopt({ ...conn, state: DOWN });
  }

  #forget(id: string): void {
    const conn = this.#connections.get(id);
    if (conn === undefined) return;
    this.#unindex(id);
    this.#connections.delete(id);
    this.#publish(DELETE, conn);
  }

  #unindex(id: string): void {
    const old = this.#connections.get(id);
    if (old !== undefined) for (const segmentId of pathIds(old)) this.#byId.delete(segmentId, id);
  }

  #publish(type: ConnectionEventType, connection: Connection): void {
    const change = { type, connection };
    for (const watcher of this.#wide) watcher.offer(change);
    for (const id of pathIds(connection)) for (const watcher of this.#pinned.get(id)) watcher.offer(change);
  }

  #selected(watcher: Watcher): Connection[] {
    return this.#candidates(watcher.selector).filter((conn) => watcher.wants(conn));
  }

  #candidates(selector: MonitorScopeSelector): Connection[] {
    const id = pinnedId(selector);
    return id === undefined ? this.list() : [...this.#byId.get(id)].flatMap((own) => this.get(own) ?? []);
  }

  #mustConcern(watcher: Watcher, viewer: string): void {
    const { selector } = watcher;
    if (pinnedId(selector) === undefined) return;
    const asked = this.#candidates(selector).filter((conn) => selects(selector, conn));
    if (asked.length === 0 || asked.some((conn) => watcher.wants(conn))) return;
    throw new MeshError("denied", `${viewer} is not on the path of connection ${pinnedId(selector)}, and may not watch it`);
  }

  #add(watcher: Watcher): void {
    const id = pinnedId(watcher.selector);
    if (id === undefined) this.#wide.add(watcher);
    else this.#pinned.add(id, watcher);
  }

  #remove(watcher: Watcher): void {
    const id = pinnedId(watcher.selector);
    if (id === undefined) this.#wide.delete(watcher);
    else this.#pinned.delete(id, watcher);
  }
}

function event(type: ConnectionEventType, connections: readonly Connection[]): ConnectionEvent {
  return { type, connections: Object.fromEntries(connections.map((conn) => [conn.id, conn])) };
}
