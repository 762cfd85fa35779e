import type { Connection } from "../api/gen/connection/connection.js";
import type { Call, Element, Token } from "./chain.js";
import { MeshError } from "./error.js";
import { ownSegment, previousSegment, withOwnSegment, withSegment } from "./path.js";
import { toTimestamp } from "./timestamp.js";

/** Gives a token for `audience` (a SPIFFE id; absent where the peer is not authenticated). */
export type TokenSource = (audience?: string) => Promise<Token>;

/**
 * Copies the caller's token into the previous segment and writes our own into ours, on the way there and, for the caller to check, back.
 * A request whose previous segment has no expiry after that is refused ("invalid"), and so is one from a caller that is not in the path.
 */
export function updateToken(tokens: TokenSource): Element {
  const own = ({ link }: Call) => (link?.tokens ?? tokens)(link?.peer.id);
  return {
    name: "updateToken",
    async request(call, next) {
      check(call);
      const token = await own(call);
      const answer = await next.request({ ...call, connection: withOwnToken(withCallersToken(call), token) });
      return withOwnToken(answer, token);
    },
    close: async (call, next) => next.close({ ...call, connection: withOwnToken(withCallersToken(call), await own(call)) }),
  };
}

function check(call: Call): void {
  const previous = previousSegment(call.connection);
  if (previous === undefined && call.caller !== undefined)
    throw new MeshError("invalid", `the caller is not in the path: it starts with ${JSON.stringify(ownSegment(call.connection).name)}`);
  if (previous !== undefined && (call.caller ?? previous.expires) === undefined)
    throw new MeshError(
      "invalid",
      `the token of ${JSON.stringify(previous.name)} says no expiry; its metadata needs nsm-client-token and nsm-client-token-expires`,
    );
}

function withCallersToken({ connection, caller }: Call): Connection {
  const previous = previousSegment(connection);
  if (previous === undefined || caller === undefined) return connection;
  const index = (connection.path?.index ?? 1) - 1;
  return withSegment(connection, index, { ...previous, token: caller.token, expires: toTimestamp(caller.expires) });
}

function withOwnToken(conn: Connection, { token, expires }: Token): Connection {
  return withOwnSegment(conn, { ...ownSegment(conn), token, expires: toTimestamp(expires) });
}
