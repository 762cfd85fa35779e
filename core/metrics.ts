import type { Connection } from "../api/gen/connection/connection.js";

/** What a hop says of itself in its path segment's metrics, besides counters. */
export const PROGRAM = "isthmus.program";
export const NODE = "isthmus.node";
export const SITE = "isthmus.site";
/** Milliseconds from this hop on, until the answer. */
export const MS = "isthmus.ms";
/** Whether packets cross: "alive" or "dead". */
export const DATAPATH = "isthmus.datapath";
export const ALIVE = "alive";
export const DEAD = "dead";

/** Whether any hop says that no packets cross. */
export function isDataPathDead(conn: Connection): boolean {
  return conn.path?.pathSegments.some(({ metrics }) => metrics[DATAPATH] === DEAD) ?? false;
}

/** The connection with the metrics of the segments behind its own taken from `theirs`, where they are of the same hops. */
export function withMetricsBehind(conn: Connection, theirs: Connection): Connection {
  const path = conn.path;
  if (path === undefined) return conn;
  const pathSegments = path.pathSegments.map((segment, i) => {
    const same = theirs.path?.pathSegments[i];
    return i > path.index && same?.id === segment.id ? { ...segment, metrics: same.metrics } : segment;
  });
  return { ...conn, path: { ...path, pathSegments } };
}
