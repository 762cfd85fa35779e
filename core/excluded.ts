import type { Connection } from "../api/gen/connection/connection.js";
import type { Element } from "./chain.js";
import { ipContextOf, withIpContext } from "./context.js";
import { MeshError } from "./error.js";
import { parseRange, rangesMeet } from "./ipam/address.js";

/** Tells the endpoint which prefixes it must not give addresses from. For nsmgr. */
export function excludedPrefixes(prefixes: () => readonly string[]): Element {
  return {
    name: "excludedPrefixes",
    request: (call, next) => next.request({ ...call, connection: excluding(call.connection, prefixes()) }),
  };
}

/**
 * Excludes what the client's other connections use, and refuses ("conflict") an answer that uses it all the same.
 * For the client's side: two services whose ranges overlap then give one pod addresses that do not.
 */
export function excludedByOthers(others: (conn: Connection) => readonly Connection[]): Element {
  return {
    name: "excludedByOthers",
    async request(call, next) {
      const used = [...new Set(others(call.connection).flatMap(prefixesOf))];
      const conn = await next.request({ ...call, connection: excluding(call.connection, used) });
      const ranges = used.map((prefix) => ({ prefix, range: parseRange(prefix) }));
      for (const given of prefixesOf(conn)) {
        const clash = ranges.find(({ range }) => rangesMeet(range, parseRange(given)));
        if (clash !== undefined)
          throw new MeshError("conflict", `${conn.networkService} gave ${given}, which ${clash.prefix} of another connection has`);
      }
      return conn;
    },
  };
}

function excluding(conn: Connection, prefixes: readonly string[]): Connection {
  const excluded = ipContextOf(conn).excludedPrefixes;
  const missing = prefixes.filter((prefix) => !excluded.includes(prefix));
  return missing.length === 0 ? conn : withIpContext(conn, { excludedPrefixes: [...excluded, ...missing] });
}

/** The client's addresses and what it reaches through the connection; a default route excludes nothing. */
function prefixesOf(conn: Connection): string[] {
  const { srcIpAddrs, srcRoutes } = ipContextOf(conn);
  const routes = srcRoutes.map(({ prefix }) => prefix).filter((prefix) => !prefix.endsWith("/0"));
  return [...srcIpAddrs, ...routes];
}
