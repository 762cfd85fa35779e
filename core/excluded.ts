import type { Connection } from "../api/gen/connection/connection.js";
import type { Element } from "./chain.js";
import { contextOf, ipContextOf, withIpContext } from "./context.js";
import { MeshError } from "./error.js";
import type { UsedPrefixes } from "./ipam/prefixBag.js";

/** Tells the endpoint which prefixes it must not give addresses from. For nsmgr. */
export function excludedPrefixes(prefixes: () => readonly string[]): Element {
  return {
    name: "excludedPrefixes",
    request: (call, next) => next.request({ ...call, connection: excluding(call.connection, prefixes()) }),
  };
}

/**
 * Where an answer says that it overlaps with the client's other connections on purpose ("true"): only what is sent from its own address
 * takes its routes. So a pod is in two segments with the same addresses. ConnectionContext.extra_context.
 */
export const BESIDE = "isthmus.beside";

/**
 * Excludes what the client's other connections use, and refuses ("conflict") an answer that uses it all the same.
 * For the client's side: two services whose ranges overlap then give one pod addresses that do not.
 */
export function excludedByOthers(others: (conn: Connection) => UsedPrefixes): Element {
  return {
    name: "excludedByOthers",
    async request(call, next) {
      const used = others(call.connection);
      const conn = await next.request({ ...call, connection: excluding(call.connection, used.prefixes) });
      if (contextOf(conn).extraContext[BESIDE] === "true") return conn;
      for (const given of usedPrefixes(conn))
        if (used.meets(given))
          throw new MeshError("conflict", `${conn.networkService} gave ${given}, which another connection of the client has already`);
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
export function usedPrefixes(conn: Connection): string[] {
  const { srcIpAddrs, srcRoutes } = ipContextOf(conn);
  const routes = srcRoutes.map(({ prefix }) => prefix).filter((prefix) => !prefix.endsWith("/0"));
  return [...srcIpAddrs, ...routes];
}
