import type { Connection, ConnectionEvent, MonitorScopeSelector } from "../api/gen/connection/connection.js";
import { background } from "./background.js";
import type { Element } from "./chain.js";
import type { Clock } from "./clock.js";
import { sameMessage } from "./equal.js";
import { asMeshError } from "./error.js";
import { ownIn } from "./events.js";
import type { Log } from "./log.js";
import { DATAPATH, DEAD, withMetricsBehind } from "./metrics.js";
import type { Monitor } from "./monitor.js";
import { nextSegment, ownSegment, withOwnMetrics, withOwnSegment } from "./path.js";
import { pausesUntil } from "./pauses.js";
import { DELETE, DOWN, INITIAL_STATE_TRANSFER, REFRESH_REQUESTED, UP } from "./states.js";

/** Why a connection counts as down: its next hop closed it, said so, or does not answer or know it. */
export type DownReason = "deleted" | "down" | "lost";

interface Parts {
  readonly watch: (url: string, selector: MonitorScopeSelector, signal: AbortSignal) => AsyncIterable<ConnectionEvent>;
  readonly monitor: Monitor;
  readonly clock: Clock;
  readonly log: Log;
  readonly onDown?: (conn: Connection, reason: DownReason) => Promise<Connection> | Connection;
}

/**
 * Watches the next hop on behalf of each connection and passes on to our own watchers what it says. Sits right before the dialing tail.
 * `onDown` may look first and change what is published (metrics); without it, "deleted" marks the own segment's data path as dead.
 * What happens to a next hop that is being left (a reselect, a close) is not heard any more.
 */
export function follow(parts: Parts): Element {
  const followers = new Map<string, Follower>();
  const stop = (id: string) => {
    followers.get(id)?.stop();
    followers.delete(id);
  };
  const keep = (target: string, conn: Connection) => {
    const old = followers.get(conn.id);
    if (old?.fits(target, conn)) return old.renew(conn);
    stop(conn.id);
    const follower = new Follower(parts, target, conn);
    followers.set(conn.id, follower);
    background(parts.log, "following the next hop", follower.run(), { connection: conn.id });
  };
  return {
    name: "follow",
    async request(call, next) {
      const { id } = call.connection;
      if (nextSegment(call.connection) === undefined) stop(id);
      followers.get(id)?.asking(true);
      try {
        const conn = withoutDeath(await next.request(call));
        if (call.target !== undefined) keep(call.target, conn);
        return conn;
      } finally {
        followers.get(id)?.asking(false);
      }
    },
    async close(call, next) {
      stop(call.connection.id);
      await next.close(call);
    },
  };
}

/** One connection's stream to its next hop. */
class Follower {
  readonly #parts: Parts;
  readonly #target: string;
  readonly #life = new AbortController();
  #conn: Connection;
  /** Counts successful requests: what was seen before the last one is not news any more. */
  #version = 0;
  #asking = false;
  #down = false;
  #lost = false;

  constructor(parts: Parts, target: string, conn: Connection) {
    this.#parts = parts;
    this.#target = target;
    this.#conn = conn;
  }

  fits(target: string, conn: Connection): boolean {
    return !this.#lost && target === this.#target && nextSegment(conn)?.id === nextSegment(this.#conn)?.id;
  }

  renew(conn: Connection): void {
    this.#conn = conn;
    this.#version++;
    this.#down = false;
  }

  asking(now: boolean): void {
    this.#asking = now;
  }

  stop(): void {
    this.#life.abort();
  }

  async run(): Promise<void> {
    const { signal } = this.#life;
    const { name, id } = ownSegment(this.#conn);
    const own = { name, id, token: "", expires: undefined, metrics: {} };
    const selector: MonitorScopeSelector = { pathSegments: [own], networkServices: [] };
    for await (const pauses of pausesUntil(signal, this.#parts.clock)) {
      try {
        for await (const event of this.#parts.watch(this.#target, selector, signal)) {
          pauses.reset();
          if (!signal.aborted) await this.#hear(event);
        }
      } catch (error) {
        this.#parts.log.debug("next hop's monitor lost", { connection: id, target: this.#target, message: asMeshError(error).message });
      }
      if (!signal.aborted && !this.#lost) await this.#publishDown("lost");
      this.#lost = true;
    }
  }

  async #hear(event: ConnectionEvent): Promise<void> {
    const theirs = ownIn(event, this.#conn);
    if (theirs === undefined) {
      if (event.type === INITIAL_STATE_TRANSFER) await this.#publishDown("lost");
      return;
    }
    this.#lost = false;
    if (event.type === DELETE) return this.#publishDown("deleted", theirs);
    if (theirs.state === DOWN) return this.#publishDown("down", theirs);
    this.#publishUp(theirs);
  }

  #publishUp(theirs: Connection): void {
    const known = this.#known(theirs);
    if (known === undefined || (this.#asking && !this.#down)) return;
    const conn = this.#revived(known, theirs);
    if (!sameMessage(conn, this.#parts.monitor.get(conn.id))) this.#parts.monitor.update(conn);
  }

  /** Up again if it was we who said that it was down, unless somebody has looked and found no way through. */
  #revived(known: Connection, theirs: Connection): Connection {
    if (theirs.state === REFRESH_REQUESTED) return { ...known, state: REFRESH_REQUESTED };
    if (!this.#down) return known;
    if (this.#parts.onDown !== undefined && ownSegment(known).metrics[DATAPATH] === DEAD) return known;
    this.#down = false;
    return { ...withoutDeath(known), state: UP };
  }

  async #publishDown(reason: DownReason, theirs?: Connection): Promise<void> {
    const version = this.#version;
    const known = this.#known(theirs);
    if (known === undefined) return;
    const { log } = this.#parts;
    log.info("connection is down behind us", { connection: known.id, reason, target: this.#target });
    const conn = await this.#look({ ...known, state: DOWN }, reason);
    if (this.#life.signal.aborted || version !== this.#version) return;
    this.#down = true;
    this.#parts.monitor.update({ ...conn, state: DOWN });
  }

  async #look(conn: Connection, reason: DownReason): Promise<Connection> {
    const { onDown, log } = this.#parts;
    if (onDown === undefined) return reason === "deleted" ? withOwnMetrics(conn, { [DATAPATH]: DEAD }) : conn;
    try {
      return await onDown(conn, reason);
    } catch (error) {
      log.warn("looking at a connection failed", { connection: conn.id, message: asMeshError(error).message });
      return conn;
    }
  }

  /** What our watchers saw last, with what the next hops say of themselves. */
  #known(theirs: Connection | undefined): Connection | undefined {
    const known = this.#parts.monitor.get(this.#conn.id);
    return known === undefined || theirs === undefined ? known : withMetricsBehind(known, theirs);
  }
}

/** Our own "dead" belongs to what was; who knows better says "alive" on the way back. */
function withoutDeath(conn: Connection): Connection {
  const own = ownSegment(conn);
  if (own.metrics[DATAPATH] !== DEAD) return conn;
  const { [DATAPATH]: _, ...metrics } = own.metrics;
  return withOwnSegment(conn, { ...own, metrics });
}
