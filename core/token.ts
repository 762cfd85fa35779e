import type { Connection } from "../api/gen/connection/connection.js";
import type { Call, Element, Token } from "./chain.js";
import { MeshError } from "./error.js";
import { ownSegment, previousSegment, withOwnSegment, withSegment } from "./path.js";
import { toTimestamp } from "./timestamp.js";

/** Gives this process's token for `audience` (a SPIFFE id; absent where the peer is not authenticated). */
export type TokenSource = (audience?: string) => Promise<Token>;

/**
 * Copies the caller's token into the previous segment and writes our own into ours.
 * A request whose previous segment has no expiry after that is refused ("invalid"), and so is one from a caller that is not in the path.
 */
export function updateToken(tokens: TokenSource): Element {
  const signed = async (call: Call) => withOwnToken(withCallersToken(call), await tokens());
  return {
    name: "updateToken",
    async request(call, next) {
      check(call);
      return next.request({ ...call, connection: await signed(call) });
    },
    close: async (call, next) => next.close({ ...call, connection: await signed(call) }),
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

/** The `sub` of a JWT, without checking its signature; undefined where there is none to read. */
export function subjectOf(token: string): string | undefined {
  const payload = token.split(".")[1];
  if (payload === undefined) return undefined;
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, "base64url").toString("utf8"));
    if (typeof claims !== "object" || claims === null || !("sub" in claims)) return undefined;
    return typeof claims.sub === "string" ? claims.sub : undefined;
  } catch {
    return undefined; // no JSON: a token that we cannot read has no subject that we know
  }
}
