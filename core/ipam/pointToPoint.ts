import type { Element } from "../chain.js";

/** A client's and an endpoint's address, without prefix length. */
export interface Pair {
  readonly source: string;
  readonly destination: string;
}

/** What one connection has been given. JSON-safe. */
export interface Lease {
  /** The id in the first path segment: the same for as long as the client keeps the connection, whatever lies between. */
  readonly id: string;
  /** The name in the first path segment. */
  readonly client: string;
  /** This hop's own id of the connection that holds the lease. */
  readonly connection: string;
  /** One per family. */
  readonly pairs: readonly Pair[];
}

/** Where leases survive a kill -9: `put` and `remove` resolve when it is on disk. */
export interface LeaseStore {
  load(): Promise<Lease[]>;
  put(lease: Lease): Promise<void>;
  remove(id: string): Promise<void>;
}

export interface PointToPointIpam extends Element {
  leases(): Promise<readonly Lease[]>;
  /** Frees what a connection (this hop's own id) holds, for a client that never came back. */
  free(connection: string): Promise<void>;
}

/** Gives each connection a pair of addresses per family: the endpoint the lowest free one, the client the next. */
export function pointToPointIpam(_parts: { readonly cidrs: readonly string[]; readonly leases: LeaseStore }): PointToPointIpam {
  throw new Error("soon");
}
