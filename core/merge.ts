import type { Connection, Mechanism, Path, PathSegment } from "../api/gen/connection/connection.js";
import type { Call } from "./chain.js";
import { sameMessage } from "./equal.js";

/** What a hop holds of a connection. */
export interface Held {
  /** As it is now. */
  readonly current: Connection;
  /** As the caller last saw it; differs where this hop asked again by itself since. */
  readonly returned: Connection;
  /** The mechanisms that the caller could do when it last said so. */
  readonly preferences: readonly Mechanism[];
}

/**
 * A repeated request, where the caller's endpoint, context and path behind us count only if they differ from our last answer:
 * a caller that just repeats what we told it does not undo what changed here in between.
 */
export function mergeRequest(call: Call, held: Held): Pick<Call, "connection" | "preferences"> {
  const asked = call.connection;
  const { current, returned } = held;
  const endpointKept = asked.networkServiceEndpointName === returned.networkServiceEndpointName;
  return {
    preferences: call.preferences.length > 0 ? call.preferences : held.preferences,
    connection: {
      ...asked,
      payload: asked.payload || current.payload,
      networkServiceEndpointName: endpointKept ? current.networkServiceEndpointName : asked.networkServiceEndpointName,
      context: sameMessage(asked.context, returned.context) ? current.context : asked.context,
      path: mergePath(asked.path, returned.path, current.path),
    },
  };
}

/** The path up to us is the caller's, with its newest tokens; what lies behind us we know better, unless it asks for something else. */
function mergePath(asked: Path | undefined, returned: Path | undefined, current: Path | undefined): Path | undefined {
  if (asked === undefined || current === undefined) return asked ?? current;
  const askedBehind = behind(asked);
  const kept = askedBehind.length === 0 || sameHops(askedBehind, returned === undefined ? [] : behind(returned));
  return { ...asked, pathSegments: [...upTo(asked), ...(kept ? behind(current) : askedBehind)] };
}

/** What we hold, with the caller's part of the path: for a close. */
export function withCallersPath(current: Connection, asked: Connection): Connection {
  if (current.id !== asked.id || asked.path === undefined || current.path === undefined) return current;
  return { ...current, path: { ...current.path, pathSegments: [...upTo(asked.path), ...behind(current.path)] } };
}

function upTo(path: Path): PathSegment[] {
  return path.pathSegments.slice(0, path.index + 1);
}

function behind(path: Path): PathSegment[] {
  return path.pathSegments.slice(path.index + 1);
}

function sameHops(a: readonly PathSegment[], b: readonly PathSegment[]): boolean {
  return a.length === b.length && a.every(({ name, id }, i) => b[i]?.name === name && b[i]?.id === id);
}
