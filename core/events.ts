import type { Connection, ConnectionEvent } from "../api/gen/connection/connection.js";

/**
 * What a next hop's event says of our connection: it carries that hop's ids, ours is in the path at our index.
 * (An NSM hop may leave the index at ours or put it at its own; both are fine.)
 */
export function ownIn(event: ConnectionEvent, conn: Connection): Connection | undefined {
  const index = conn.path?.index ?? 0;
  return Object.values(event.connections).find(({ path }) => {
    return path !== undefined && (path.index === index || path.index === index + 1) && path.pathSegments[index]?.id === conn.id;
  });
}
