import type { Connection } from "../../api/gen/connection/connection.js";
import type { IPContext, Route } from "../../api/gen/connectioncontext/connectioncontext.js";
import type { Element } from "../chain.js";
import { ipContextOf, withIpContext } from "../context.js";
import { sameMessage } from "../equal.js";
import { MeshError } from "../error.js";
import { firstSegment } from "../path.js";
import { Serial } from "../serial.js";
import { type Family, parseAddress, parseRange } from "./address.js";
import type { Lease, LeaseStore, Pair } from "./lease.js";
import { hostPrefix, isExcluded, type NamedPool, takePair } from "./pairs.js";
import { PrefixPool } from "./pool.js";

export type { Lease, LeaseStore } from "./lease.js";

export interface PointToPointIpam extends Element {
  leases(): Promise<readonly Lease[]>;
  /** Lets go of the lease on behalf of a connection (this hop's own id) whose client never came back. */
  free(connection: string): Promise<void>;
}

/**
 * Gives each connection a pair of addresses per family of `cidrs`: the endpoint the lowest free one, the client the next, and routes
 * between them. A lease is on disk before the answer is given, and off the disk before its addresses are free again: so none is ever
 * given twice, whenever the process dies. It belongs to the client's own id for the connection, so whoever comes again the same way,
 * or another way round, keeps its addresses; those that do not belong to the ranges are dropped.
 */
export function pointToPointIpam(parts: { readonly cidrs: readonly string[]; readonly leases: LeaseStore }): PointToPointIpam {
  const book = new LeaseBook(parts.cidrs, parts.leases);
  return {
    name: "pointToPointIpam",
    async request(call, next) {
      const lease = await book.give(call.connection);
      try {
        return await next.request({ ...call, connection: withPairs(call.connection, lease.pairs) });
      } catch (error) {
        if (!call.established) await book.free(lease.id, call.connection.id);
        throw error;
      }
    },
    async close(call, next) {
      try {
        await next.close(call);
      } finally {
        await book.free(firstSegment(call.connection).id, call.connection.id);
      }
    },
    leases: () => book.all(),
    async free(connection) {
      const lease = (await book.all()).find((held) => held.connections.includes(connection));
      if (lease !== undefined) await book.free(lease.id, connection);
    },
  };
}

/** Who has which addresses, in memory and on disk. */
class LeaseBook {
  readonly #pools: readonly NamedPool[];
  readonly #store: LeaseStore;
  readonly #leases = new Map<string, Lease>();
  readonly #serial = new Serial();
  #loaded: Promise<void> | undefined;

  constructor(cidrs: readonly string[], store: LeaseStore) {
    if (cidrs.length === 0) throw new MeshError("invalid", "an endpoint needs at least one address range, as 172.16.1.0/24");
    this.#pools = poolsOf(cidrs);
    this.#store = store;
  }

  async all(): Promise<readonly Lease[]> {
    await this.#load();
    return [...this.#leases.values()];
  }

  async give(conn: Connection): Promise<Lease> {
    await this.#load();
    const { id, name } = firstSegment(conn);
    return this.#serial.run(id, async () => {
      const held = this.#leases.get(id);
      if (held !== undefined && held.client !== name)
        throw new MeshError(
          "exists",
          `the connection id ${JSON.stringify(id)} is in use by ${JSON.stringify(held.client)}; choose another`,
        );
      const connections = [...new Set([...(held?.connections ?? []), conn.id])];
      const lease: Lease = { id, client: name, connections, pairs: this.#pairsFor(ipContextOf(conn), held) };
      if (held === undefined || !isSame(held, lease)) await this.#put(lease, held);
      return lease;
    });
  }

  /** For this connection; the lease ends with the last that holds it. */
  async free(id: string, connection: string): Promise<void> {
    await this.#load();
    await this.#serial.run(id, async () => {
      const held = this.#leases.get(id);
      if (held === undefined || !held.connections.includes(connection)) return;
      const connections = held.connections.filter((holder) => holder !== connection);
      if (connections.length > 0) return this.#put({ ...held, connections }, held);
      await this.#store.remove(id);
      this.#leases.delete(id);
      this.#release(held.pairs);
    });
  }

  async #put(lease: Lease, held: Lease | undefined): Promise<void> {
    const kept = new Set(held?.pairs);
    try {
      await this.#store.put(lease);
    } catch (error) {
      this.#release(lease.pairs.filter((pair) => !kept.has(pair)));
      throw error;
    }
    this.#leases.set(lease.id, lease);
    this.#release([...kept].filter((pair) => !lease.pairs.includes(pair)));
  }

  /** A pair per family: what is held, unless it is excluded by now. All or none. */
  #pairsFor(ip: IPContext, held: Lease | undefined): Pair[] {
    const pairs: Pair[] = [];
    const fresh: Pair[] = [];
    try {
      for (const named of this.#pools) {
        const kept = held?.pairs.find(({ source }) => named.pool.contains(source));
        const pair = kept !== undefined && isUsable(kept, ip) ? kept : takePair(named, ip);
        if (pair !== kept) fresh.push(pair);
        pairs.push(pair);
      }
      return pairs;
    } catch (error) {
      this.#release(fresh);
      throw error;
    }
  }

  #release(pairs: readonly Pair[]): void {
    for (const { source, destination } of pairs)
      for (const { pool } of this.#pools) for (const address of [source, destination]) pool.release(address);
  }

  #load(): Promise<void> {
    this.#loaded ??= this.#recover().catch((error: unknown) => {
      this.#loaded = undefined; // the next one tries again
      throw error;
    });
    return this.#loaded;
  }

  /** What an earlier run gave, as far as it still belongs to our ranges. */
  async #recover(): Promise<void> {
    for (const lease of await this.#store.load()) {
      const pairs = lease.pairs.filter((pair) => this.#recoverPair(pair));
      if (pairs.length > 0) this.#leases.set(lease.id, { ...lease, pairs });
      else await this.#store.remove(lease.id);
    }
  }

  #recoverPair({ source, destination }: Pair): boolean {
    const pool = this.#pools.find((named) => named.pool.contains(source))?.pool;
    if (pool === undefined || !pool.recover(source)) return false;
    if (pool.recover(destination)) return true;
    pool.release(source);
    return false;
  }
}

function poolsOf(cidrs: readonly string[]): NamedPool[] {
  const byFamily = (family: Family) => cidrs.filter((cidr) => parseRange(cidr).family === family);
  return ([4, 6] as const)
    .map(byFamily)
    .filter((some) => some.length > 0)
    .map((some) => ({ pool: new PrefixPool(some), cidrs: some }));
}

function isUsable({ source, destination }: Pair, ip: IPContext): boolean {
  return !isExcluded(source, ip.excludedPrefixes) && !isExcluded(destination, ip.excludedPrefixes);
}

function isSame(a: Lease, b: Lease): boolean {
  return sameMessage(a.connections, b.connections) && a.pairs.length === b.pairs.length && a.pairs.every((pair, i) => pair === b.pairs[i]);
}

/** The connection with these addresses and the routes to them; those of another endpoint, or of before, go. */
function withPairs(conn: Connection, pairs: readonly Pair[]): Connection {
  const ip = ipContextOf(conn);
  const families = new Set(pairs.map(({ source }) => parseAddress(source).family));
  const foreign = (address: string) => !families.has(parseAddress(address).family);
  const sources = pairs.map(({ source }) => hostPrefix(source));
  const destinations = pairs.map(({ destination }) => hostPrefix(destination));
  return withIpContext(conn, {
    srcIpAddrs: [...ip.srcIpAddrs.filter(foreign), ...sources],
    dstIpAddrs: [...ip.dstIpAddrs.filter(foreign), ...destinations],
    srcRoutes: routesTo(destinations, ip.srcRoutes, ip.dstIpAddrs),
    dstRoutes: routesTo(sources, ip.dstRoutes, ip.srcIpAddrs),
  });
}

function routesTo(prefixes: readonly string[], routes: readonly Route[], before: readonly string[]): Route[] {
  const others = routes.filter(({ prefix }) => !prefixes.includes(prefix) && !before.includes(prefix));
  return [...others, ...prefixes.map((prefix) => ({ prefix, nextHop: "" }))];
}
