import type { Connection } from "../api/gen/connection/connection.js";
import type { Call, Element } from "./chain.js";
import { checkTokens, type HopToken, isProven, type Prover } from "./checkTokens.js";
import type { Clock } from "./clock.js";
import { MeshError } from "./error.js";
import { subjectOf } from "./jwt.js";
import type { Link } from "./peer.js";

export interface AuthorizeParts {
  readonly clock: Clock;
  readonly prover?: Prover | undefined;
  /** The connections that a call would touch. */
  readonly touched: (conn: Connection) => readonly Connection[];
}

/**
 * Lets in what comes from an authenticated peer: its tokens are as they must be, and what is there already is only touched by who is on
 * its path. What starts in this process passes. Sits before begin, which closes what a caller seems to have forgotten.
 */
export function authorize(parts: AuthorizeParts): Element {
  const check = (call: Call) => {
    const { link } = call;
    if (link === undefined) return;
    const [first] = checkTokens(tokensBefore(call), link, parts.clock.now(), parts.prover);
    const client = first !== undefined && isProven(first, parts.prover) ? first.subject : undefined;
    for (const held of parts.touched(call.connection)) mustBeOnPath(held, link, client);
  };
  return {
    name: "authorize",
    async request(call, next) {
      check(call);
      return next.request(call);
    },
    async close(call, next) {
      check(call);
      await next.close(call);
    },
  };
}

/** Who was before this hop on a connection's path, the client first. */
export function idsBefore({ path }: Connection): readonly string[] {
  return (path?.pathSegments ?? []).slice(0, path?.index ?? 0).map(({ token }) => subjectOf(token) ?? "");
}

/** Throws "denied" for a peer whom this connection does not concern. `client` is who asked first, where that is proven. */
function mustBeOnPath(held: Connection, { peer }: Link, client: string | undefined): void {
  const ids = idsBefore(held);
  // Another forwarder of the client's node is another peer, but comes for the same client.
  if (ids.includes(peer.id) || (client !== undefined && client === ids[0])) return;
  throw new MeshError("denied", `${peer.id} is not on the path of connection ${held.id}, and may not change or close it`);
}

/** The last is the one that the peer's transport presented. */
function tokensBefore({ connection, caller }: Call): HopToken[] {
  const { index = 0, pathSegments = [] } = connection.path ?? {};
  const before = pathSegments.slice(0, index);
  if (before.length === 0)
    throw new MeshError("invalid", "the caller is not in the path: it must have a segment of its own before this hop's");
  if (caller === undefined)
    throw new MeshError("denied", "the caller presents no token; its metadata needs nsm-client-token and nsm-client-token-expires");
  return before.map(({ name, token }, at) => ({ name, token: at === before.length - 1 ? caller.token : token }));
}
