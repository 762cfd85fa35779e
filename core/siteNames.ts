import type { Connection } from "../api/gen/connection/connection.js";
import type { NetworkServiceEndpoint } from "../api/gen/registry/registry.js";
import type { Handler } from "./chain.js";

/** A name as it is used across sites: `echo@tokyo` is `echo` in tokyo. (NSM's interdomain names; the first @ counts.) */
export interface SiteName {
  readonly local: string;
  /** Undefined for a plain name. */
  readonly site: string | undefined;
}

export function siteName(name: string): SiteName {
  const at = name.indexOf("@");
  return at < 0 ? { local: name, site: undefined } : { local: name.slice(0, at), site: name.slice(at + 1) };
}

/** The name by which others know what is called `local` in `site`. */
export function inSite(local: string, site: string): string {
  return `${local}@${site}`;
}

/** The same endpoint, found under its services' names in `site` as well as under their plain ones. */
export function alsoInSite(endpoint: NetworkServiceEndpoint, site: string): NetworkServiceEndpoint {
  const { networkServiceNames: names, networkServiceLabels: labels } = endpoint;
  return {
    ...endpoint,
    networkServiceNames: [...names, ...names.map((name) => inSite(name, site))],
    networkServiceLabels: {
      ...labels,
      ...Object.fromEntries(Object.entries(labels).map(([name, value]) => [inSite(name, site), value])),
    },
  };
}

/**
 * A tail for the hop that chooses endpoints: names of another site mean something only in this one, so the next hop gets the plain ones,
 * and what it answers is called here as it was asked for. An endpoint that the next hop took instead is of the same site.
 */
export function inTheirWords(tail: Handler): Handler {
  return {
    async request(call) {
      const asked = call.connection;
      const answer = await tail.request({ ...call, connection: plain(asked) });
      const { site } = siteName(asked.networkServiceEndpointName);
      const named = answer.networkServiceEndpointName;
      return {
        ...answer,
        networkService: asked.networkService,
        networkServiceEndpointName: site === undefined || named.includes("@") ? named : inSite(named, site),
      };
    },
    close: (call) => tail.close({ ...call, connection: plain(call.connection) }),
  };
}

function plain(conn: Connection): Connection {
  const networkService = siteName(conn.networkService).local;
  return { ...conn, networkService, networkServiceEndpointName: siteName(conn.networkServiceEndpointName).local };
}
