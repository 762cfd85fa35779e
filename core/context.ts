import type { Connection } from "../api/gen/connection/connection.js";
import type { ConnectionContext, IPContext } from "../api/gen/connectioncontext/connectioncontext.js";

/** The connection's context, or an empty one. */
export function contextOf(conn: Connection): ConnectionContext {
  return conn.context ?? { ipContext: undefined, dnsContext: undefined, ethernetContext: undefined, extraContext: {}, MTU: 0 };
}

/** The connection's addresses and routes, or none. */
export function ipContextOf(conn: Connection): IPContext {
  return (
    conn.context?.ipContext ?? {
      srcIpAddrs: [],
      dstIpAddrs: [],
      srcIpRequired: false,
      dstIpRequired: false,
      srcRoutes: [],
      dstRoutes: [],
      excludedPrefixes: [],
      ipNeighbors: [],
      extraPrefixRequest: [],
      extraPrefixes: [],
      policies: [],
    }
  );
}

/** The connection with parts of its context replaced. */
export function withContext(conn: Connection, part: Partial<ConnectionContext>): Connection {
  return { ...conn, context: { ...contextOf(conn), ...part } };
}

/** The connection with parts of its addresses and routes replaced. */
export function withIpContext(conn: Connection, part: Partial<IPContext>): Connection {
  return withContext(conn, { ipContext: { ...ipContextOf(conn), ...part } });
}
