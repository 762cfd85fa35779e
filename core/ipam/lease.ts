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
  /**
   * This hop's own ids of the connections that hold the lease: two for a moment, when a client comes another way round
   * before what it left is closed. The last one to go frees it.
   */
  readonly connections: readonly string[];
  /** One per family. */
  readonly pairs: readonly Pair[];
}

/** Where leases survive a kill -9: `put` and `remove` resolve when it is on disk. */
export interface LeaseStore {
  load(): Promise<Lease[]>;
  put(lease: Lease): Promise<void>;
  remove(id: string): Promise<void>;
}
