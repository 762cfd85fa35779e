import { background } from "./background.js";
import type { Call, Element } from "./chain.js";
import type { Clock } from "./clock.js";
import { MeshError } from "./error.js";
import type { Log } from "./log.js";
import { previousSegment } from "./path.js";
import { fromTimestamp } from "./timestamp.js";

export interface Timeout extends Element {
  /** Arms the timer of a connection that an earlier run of this program had. */
  adopt(id: string, ms: number): void;
}

/**
 * Ends a connection when its previous segment's token does, plus `grace`, unless a refresh comes. Refuses ("denied") a token that has ended.
 * `end` is `(id, due) => begin.end(id, undefined, due)`: `due` says whether it is still over when the close's turn comes.
 */
export function timeout(parts: {
  readonly clock: Clock;
  readonly log: Log;
  readonly end: (id: string, due: () => boolean) => Promise<void>;
  /** Milliseconds. */
  readonly grace?: () => number;
}): Timeout {
  const { clock, log, end, grace = () => 0 } = parts;
  const armed = new Map<string, Disposable>();
  const disarm = (id: string) => {
    armed.get(id)?.[Symbol.dispose]();
    armed.delete(id);
  };
  const arm = (id: string, at: number) => {
    disarm(id);
    const fire = () => {
      log.info("connection timed out", { connection: id });
      // A refresh that was quicker to begin's queue has armed another timer by the time the close's turn comes.
      background(
        log,
        "closing what timed out",
        end(id, () => armed.get(id) === timer),
        { connection: id },
      );
    };
    const timer = clock.after(at - clock.now(), fire);
    armed.set(id, timer);
  };

  return {
    name: "timeout",
    async request(call, next) {
      const expires = expiryOf(call, clock.now());
      const conn = await next.request(call);
      if (expires !== undefined) arm(call.connection.id, expires + grace());
      return conn;
    },
    async close(call, next) {
      disarm(call.connection.id);
      await next.close(call);
    },
    adopt(id, ms) {
      if (!armed.has(id)) arm(id, clock.now() + ms);
    },
  };
}

function expiryOf({ connection }: Call, now: number): number | undefined {
  const previous = previousSegment(connection);
  if (previous?.expires === undefined) return undefined;
  const expires = fromTimestamp(previous.expires);
  if (expires > now) return expires;
  const ended = new Date(expires).toISOString();
  throw new MeshError("denied", `the token of ${JSON.stringify(previous.name)} ended at ${ended}; do the clocks of both machines agree?`);
}
