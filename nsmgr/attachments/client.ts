import type { Connection } from "../../api/gen/connection/connection.js";
import { abandonment } from "../../core/abandon.js";
import { begin } from "../../core/begin.js";
import { type Call, chain, type Element, type Handler, type Token } from "../../core/chain.js";
import type { Clock } from "../../core/clock.js";
import { asMeshError, isOver, type MeshError } from "../../core/error.js";
import { excludedByOthers } from "../../core/excluded.js";
import { type HealState, heal } from "../../core/heal.js";
import type { UsedPrefixes } from "../../core/ipam/prefixBag.js";
import { type Log, silent } from "../../core/log.js";
import type { Monitor } from "../../core/monitor.js";
import { observed, type Sinks } from "../../core/observed.js";
import { ownSegment, updatePath } from "../../core/path.js";
import { refresh } from "../../core/refresh.js";
import { undoOnFailure } from "../../core/rollback.js";
import { updateToken } from "../../core/token.js";

export interface ClientParts {
  /** nsmgr's own server chain: the next hop, in this process. */
  readonly server: Handler;
  /** What that hop tells its clients. */
  readonly monitor: Monitor;
  /** What an attachment asks for is asked in the name of its pod. */
  readonly tokenFor: (conn: Connection) => Promise<Token>;
  readonly clock: Clock;
  readonly log: Log;
  readonly sinks: Sinks;
  readonly random: () => number;
  /** Keeps what a request returned, the first one and every one after. Its failure fails the request. */
  readonly keep: (id: string, connection: Connection) => Promise<void>;
  /** It cannot come back: the pod's network namespace is gone, or another has what it had. */
  readonly gone: (id: string, why: MeshError) => void;
  readonly notify: (id: string, state: HealState) => void;
  /** The other connections of the same pod; their addresses must not be given to it again. */
  readonly others: (conn: Connection) => UsedPrefixes;
}

/**
 * The client of all attachments: a chain as any NSM client has it, in front of nsmgr's server chain, which it calls with a
 * token as if from outside, so that the path has a segment for the client and one for nsmgr.
 */
export function attachmentClient(parts: ClientParts): Handler {
  const started = begin({ log: parts.log });
  const again = async (id: string, change?: (call: Call) => Call, signal?: AbortSignal) => {
    try {
      return await started.again(id, change, signal);
    } catch (error) {
      if (isOver(error)) parts.gone(id, asMeshError(error));
      throw error;
    }
  };
  const { clock, log, random, monitor, gone, notify } = parts;
  const { element: abandoned, tail } = abandonment(nextHop(parts.server, parts.tokenFor), log);
  const rest = chain(
    [
      // Inside begin: what is asked for to refresh and to heal counts too. What the log says of attachments is said elsewhere.
      observed({ ...parts, hop: "client", log: silent }),
      signed(parts.tokenFor),
      abandoned,
      undoOnFailure(keeping(parts.keep)),
      undoOnFailure(excludedByOthers(parts.others)),
      refresh({ clock, log, again: (id) => again(id) }),
      heal({ clock, log, random, listen: (own, listener) => monitor.listen(own, listener), again, gone, notify }),
    ],
    tail,
  );
  started.bind(rest);
  return chain([ownName, started], rest);
}

/** Each attachment has its own segment name; it comes with the connection. */
const ownName: Element = {
  name: "path",
  request: async (call, next) => await chain([updatePath(ownSegment(call.connection).name)], next).request(call),
  close: async (call, next) => await chain([updatePath(ownSegment(call.connection).name)], next).close(call),
};

function keeping(keep: ClientParts["keep"]): Element {
  return {
    name: "keep",
    async request(call, next) {
      const conn = await next.request(call);
      await keep(conn.id, conn);
      return conn;
    },
  };
}

/** The server chain in this process, entered as if through the door. */
function nextHop(server: Handler, tokenFor: ClientParts["tokenFor"]): Handler {
  const caller = ({ connection }: Call) => tokenFor(connection);
  return {
    request: async (call) => await server.request({ ...call, caller: await caller(call) }),
    close: async (call) => await server.close({ ...call, caller: await caller(call) }),
  };
}

function signed(tokenFor: ClientParts["tokenFor"]): Element {
  const element = ({ connection }: Call) => updateToken(() => tokenFor(connection));
  return {
    name: "updateToken",
    request: async (call, next) => await chain([element(call)], next).request(call),
    close: async (call, next) => await chain([element(call)], next).close(call),
  };
}
