import type { Connection, ConnectionEvent } from "../api/gen/connection/connection.js";
import { background } from "./background.js";
import type { Element } from "./chain.js";
import type { Clock } from "./clock.js";
import { sameMessage } from "./equal.js";
import { asMeshError } from "./error.js";
import { ownIn } from "./events.js";
import { type Listen, Listening } from "./listen.js";
import type { Log } from "./log.js";
import { DATAPATH, DEAD, withMetricsBehind } from "./metrics.js";
import type { Monitor } from "./monitor.js";
import { nextSegment, ownSegment, withOwnMetrics, withOwnSegment } from "./path.js";
import { DELETE, DOWN, INITIAL_STATE_TRANSFER, REFRESH_REQUESTED, UP } from "./states.js";

/** Why a connection counts as down: its next hop closed it, said so, or does not answer or know it. */
export type DownReason = "deleted" | "down" | "lost";

interface Parts {
  readonly listen: Listen;
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
    followers.set(conn.id, new Follower(parts, target, conn));
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

/** One connection, as its next hop tells of it. */
class Follower {
  readonly #parts: Parts;
  readonly #target: string;
  readonly #listening: Listening;
  #conn: Connection;
  /** Counts successful requests: what was seen before the last one is not news any more. */
  #version = 0;
  #asking = false;
  #down = false;
  #lost = false;
  #over = false;
  /** What was heard and is still to be dealt with: the latest, and whether that was all. */
  #news: ConnectionEvent | undefined;
  #ended = false;
  #busy = false;

  constructor(parts: Parts, target: string, conn: Connection) {
    this.#parts = parts;
    this.#target = target;
    this.#conn = conn;
    const { name, id } = ownSegment(conn);
    this.#listening = new Listening(parts.clock, (listener) => parts.listen(target, { name, id }, listener), this);
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
    this.#over = true;
    this.#listening[Symbol.dispose]();
  }

  hear(event: ConnectionEvent): void {
    // Whoever is heard again is not lost.
    this.#ended = false;
    this.#news = event;
    this.#wake();
  }

  ended(error?: unknown): void {
    const { log } = this.#parts;
    if (error !== undefined)
      log.debug("next hop's monitor lost", { connection: this.#conn.id, target: this.#target, message: asMeshError(error).message });
    this.#ended = true;
    this.#wake();
  }

  #wake(): void {
    if (!this.#busy) background(this.#parts.log, "following the next hop", this.#work(), { connection: this.#conn.id });
  }

  async #work(): Promise<void> {
    this.#busy = true;
    try {
      while (!this.#over && (this.#news !== undefined || this.#ended)) {
        const event = this.#news;
        this.#news = undefined;
        if (event !== undefined) await this.#hear(event);
        else await this.#lose();
      }
    } finally {
      this.#busy = false;
    }
  }

  async #lose(): Promise<void> {
    this.#ended = false;
    if (!this.#lost) await this.#publishDown("lost");
    this.#lost = true;
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
    if (this.#over || version !== this.#version) return;
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
