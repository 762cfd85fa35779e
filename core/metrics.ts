import type { Connection } from "../api/gen/connection/connection.js";
import { sameMessage } from "./equal.js";

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

/**
 * The connection with the metrics of the segments behind its own taken from `theirs`, where they are of the same hops.
 * Where nothing is new it is the same value.
 */
export function withMetricsBehind(conn: Connection, theirs: Connection): Connection {
  const path = conn.path;
  if (path === undefined) return conn;
  const pathSegments = path.pathSegments.map((segment, i) => {
    const same = theirs.path?.pathSegments[i];
    const isNews = i > path.index && same?.id === segment.id && !sameMessage(same.metrics, segment.metrics);
    return isNews ? { ...segment, metrics: same.metrics } : segment;
  });
  const changed = pathSegments.some((segment, i) => segment !== path.pathSegments[i]);
  return changed ? { ...conn, path: { ...path, pathSegments } } : conn;
}
