import type { Connection } from "../api/gen/connection/connection.js";
import type { Element } from "./chain.js";
import type { Clock } from "./clock.js";
import { asMeshError } from "./error.js";
import type { Log } from "./log.js";
import { fromTimestamp } from "./timestamp.js";

const soonest = 200;
const slowest = 2000;

interface Waiting {
  timer: Disposable;
}

/**
 * Asks again well before the first token of the path ends; after a failure again in 200 ms, 400 ms ... 2 s. For the client's side.
 * It ends with the connection's close.
 */
export function refresh(parts: { readonly clock: Clock; readonly log: Log; readonly again: (id: string) => Promise<Connection> }): Element {
  const { clock, log, again } = parts;
  const waiting = new Map<string, Waiting>();

  const forget = (id: string) => {
    waiting.get(id)?.timer[Symbol.dispose]();
    waiting.delete(id);
  };
  const ask = async (id: string, mine: Waiting, pause: number) => {
    try {
      await again(id);
    } catch (error) {
      const { code, message } = asMeshError(error);
      if (waiting.get(id) !== mine) return; // closed, or refreshed by somebody else, meanwhile
      log.warn("refresh failed", { connection: id, code, message, retryMs: pause });
      mine.timer = clock.after(pause, () => void ask(id, mine, Math.min(2 * pause, slowest)));
    }
  };
  const arm = (id: string, ms: number) => {
    forget(id);
    const mine: Waiting = { timer: clock.after(ms, () => void ask(id, mine, soonest)) };
    waiting.set(id, mine);
  };

  return {
    name: "refresh",
    async request(call, next) {
      const conn = await next.request(call);
      const ms = refreshAfter(conn, clock.now());
      if (ms !== undefined) arm(call.connection.id, ms);
      return conn;
    },
    async close(call, next) {
      forget(call.connection.id);
      await next.close(call);
    },
  };
}

/**
 * Milliseconds until the next refresh; undefined where no segment says when it ends. A part of the shortest life in the path:
 * a fifth to two fifths of it, less for a hop nearer to the client, so that hops that refresh on their own find it done already.
 * (As in NSM's SDK, `refresh`.)
 */
export function refreshAfter(conn: Connection, now: number): number | undefined {
  const path = conn.path;
  const ends = (path?.pathSegments ?? []).flatMap(({ expires }) => (expires === undefined ? [] : fromTimestamp(expires)));
  if (path === undefined || ends.length === 0) return undefined;
  const left = Math.min(...ends) - now;
  const part = path.pathSegments.length > 1 ? 0.2 + (0.2 * path.index) / path.pathSegments.length : 1 / 3;
  return Math.max(soonest, Math.round(left * part));
}
