import type { Connection, PathSegment } from "../api/gen/connection/connection.js";
import type { Element } from "./chain.js";

export function updatePath(_name: string, _newId: () => string = () => crypto.randomUUID()): Element {
  throw new Error("soon");
}

/** The segment of the hop that holds the connection. Throws "invalid" where the path does not have it. */
export function ownSegment(_conn: Connection): PathSegment {
  throw new Error("soon");
}

/** The segment before the own one; undefined where the path starts here. */
export function previousSegment(_conn: Connection): PathSegment | undefined {
  throw new Error("soon");
}

/** The segment after the own one; undefined where the path ends here. */
export function nextSegment(_conn: Connection): PathSegment | undefined {
  throw new Error("soon");
}

/** The connection with `metrics` added to those of its own segment. */
export function withOwnMetrics(_conn: Connection, _metrics: Readonly<Record<string, string>>): Connection {
  throw new Error("soon");
}
