import type { Connection } from "../api/gen/connection/connection.js";
import type { Call, Element, Handler } from "./chain.js";
import { afresh } from "./deadline.js";
import { asMeshError, MeshError } from "./error.js";
import type { Log } from "./log.js";
import { nextSegment, ownSegment } from "./path.js";

/** How long a next hop that we give up may take to let go. */
const farewell = 3000;

/**
 * Nothing is left behind at a next hop that is new to a connection, in the two cases in which no element undoes it:
 * - its answer never came (the caller gave up, or the way there broke), or is none that can be taken: it may have built all the same, so
 *   it is told to close, in the background (it knows the connection by our id);
 * - a reselect reached a new endpoint and failed after that: elements do not undo for a connection that was there before.
 * `element` goes inside begin, `tail` takes the place of the one that dials.
 */
export function abandonment(dial: Handler, log: Log): { readonly element: Element; readonly tail: Handler } {
  const built = new Map<string, Call>();
  const letGo = (call: Call) => dial.close({ ...call, preferences: [], signal: afresh(farewell) });

  const element: Element = {
    name: "abandonment",
    async request(call, next) {
      try {
        return await next.request(call);
      } catch (error) {
        const left = built.get(call.connection.id);
        if (left !== undefined && call.established)
          await letGo(left).catch(() => log.warn("new next hop not closed", { connection: left.connection.id }));
        throw error;
      } finally {
        built.delete(call.connection.id);
      }
    },
  };
  const tail: Handler = {
    async request(call) {
      const isNew = nextSegment(call.connection) === undefined;
      try {
        const answer = checked(await dial.request(call), call.connection);
        if (isNew) built.set(call.connection.id, { ...call, connection: answer });
        return answer;
      } catch (error) {
        if (isNew && mayHaveBuilt(call, error))
          void letGo(call).catch((failure: unknown) =>
            log.debug("next hop not told to let go", { connection: call.connection.id, message: asMeshError(failure).message }),
          );
        throw error;
      }
    },
    async close(call) {
      built.delete(call.connection.id);
      await dial.close(call);
    },
  };
  return { element, tail };
}

function mayHaveBuilt({ signal }: Call, error: unknown): boolean {
  const { code, hop } = asMeshError(error);
  return signal.aborted || (hop === undefined && (code === "unreachable" || code === "timeout" || code === "invalid"));
}

/** A peer's answer must be about our connection; its id and index are ours to say. */
function checked(answer: Connection, asked: Connection): Connection {
  const own = ownSegment(asked);
  const index = asked.path?.index ?? 0;
  const answered = answer.path?.pathSegments[index];
  if (answer.path === undefined || answered?.id !== own.id || answered.name !== own.name)
    throw new MeshError("invalid", `the next hop answered for another connection than ${JSON.stringify(own.id)}`);
  return { ...answer, id: own.id, path: { ...answer.path, index } };
}
