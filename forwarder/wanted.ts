import type { Connection } from "../api/gen/connection/connection.js";
import type { Log } from "../core/log.js";
import { MultiMap } from "../core/multiMap.js";
import type { StateStore } from "../program/state.js";
import { Claims, claimsOf } from "./claims.js";
import type { CrossConnect } from "./crossConnect.js";
import type { Dataplane } from "./dataplane.js";
import { checkSides, desired, type NodeView } from "./desired.js";
import { keptForm } from "./keptForm.js";

/** A connection as it is kept: what it has in the kernel, and the answer that its caller got. */
export interface Kept {
  readonly connect: CrossConnect;
  readonly connection: Connection;
}

interface Stored {
  readonly connect: CrossConnect;
  readonly connection: unknown;
}

const prefix = "connection/";

/** The unit of a connection in the dataplane, and back. */
export function unitOf(id: string): string {
  return prefix + id;
}

export function idOf(unit: string): string | undefined {
  return unit.startsWith(prefix) ? unit.slice(prefix.length) : undefined;
}

/** The connections of this node, on disk before they are in the kernel. */
export class Wanted {
  readonly claims = new Claims();
  readonly #parts: { readonly store: StateStore; readonly dataplane: Dataplane; readonly view: NodeView; readonly log: Log };
  readonly #kept = new Map<string, Kept>();
  readonly #byPeer = new MultiMap<string, string>();
  readonly #byEndpoint = new MultiMap<string, string>();

  constructor(parts: { readonly store: StateStore; readonly dataplane: Dataplane; readonly view: NodeView; readonly log: Log }) {
    this.#parts = parts;
  }

  /** What an earlier run left. */
  restore(): Kept[] {
    for (const [key, stored] of this.#parts.store.entries<Stored>(prefix)) {
      try {
        const kept = { connect: awake(stored.connect), connection: keptForm.read(stored.connection) };
        this.#set(kept);
      } catch (error) {
        this.#parts.log.error("kept connection not understood, left out", { connection: idOf(key), error: (error as Error).message });
      }
    }
    return this.list();
  }

  get(id: string): Kept | undefined {
    return this.#kept.get(id);
  }

  list(): Kept[] {
    return [...this.#kept.values()];
  }

  /** Whether any connection's packets go to a peer's tunnel address. */
  uses(peer: string): boolean {
    return this.#byPeer.get(peer).size > 0;
  }

  /** The connections whose packets go to a peer's tunnel address. */
  throughPeer(peer: string): Kept[] {
    return [...this.#byPeer.get(peer)].flatMap((id) => this.#kept.get(id) ?? []);
  }

  /** How many connections an endpoint has from here. */
  load(endpoint: string): number {
    return this.#byEndpoint.get(endpoint).size;
  }

  /** Resolves when the kernel has it. Throws what the kernel refused; it is wanted all the same until it is removed. */
  async put(kept: Kept, signal: AbortSignal): Promise<void> {
    const unit = unitOf(kept.connect.id);
    // What cannot be wanted is not kept either.
    checkSides(kept.connect.client.kind, kept.connect.endpoint.kind);
    await this.#parts.store.put(unit, { connect: kept.connect, connection: keptForm.write(kept.connection) } satisfies Stored);
    this.#set(kept);
    await this.#parts.dataplane.settled(unit, signal);
  }

  /** Resolves when the kernel has what is known of the connection by now. */
  async settled(id: string, signal: AbortSignal): Promise<void> {
    await this.#parts.dataplane.settled(unitOf(id), signal);
  }

  /** Resolves when nothing of it is left. Fine for an id that is not known. */
  async remove(id: string): Promise<void> {
    this.#unlist(id);
    const known = this.#kept.delete(id);
    if (known) {
      await this.#parts.store.remove(unitOf(id));
      this.#parts.dataplane.drop(unitOf(id));
      await this.#parts.dataplane.settled(unitOf(id));
    }
    this.claims.release(id);
  }

  /** Writes the kernel's objects anew for what the node knows now, of all connections through a peer. */
  again(peer: string): void {
    for (const { connect } of this.throughPeer(peer)) this.#parts.dataplane.set(unitOf(connect.id), desired(connect, this.#parts.view));
  }

  #set(kept: Kept): void {
    const { connect, connection } = kept;
    const objects = desired(connect, this.#parts.view);
    this.#unlist(connect.id);
    this.#kept.set(connect.id, kept);
    for (const peer of peersOf(connect)) this.#byPeer.add(peer, connect.id);
    this.#byEndpoint.add(connection.networkServiceEndpointName, connect.id);
    this.claims.keep(connect.id, claimsOf(connect));
    this.#parts.dataplane.set(unitOf(connect.id), objects);
  }

  #unlist(id: string): void {
    const kept = this.#kept.get(id);
    if (kept === undefined) return;
    for (const peer of peersOf(kept.connect)) this.#byPeer.delete(peer, id);
    this.#byEndpoint.delete(kept.connection.networkServiceEndpointName, id);
  }
}

function peersOf(connect: CrossConnect): string[] {
  return [connect.client, connect.endpoint].flatMap((side) => (side.kind === "node-tunnel" ? [side.peer] : []));
}

/** After a restart nobody knows who begins; one who begins too often costs less than two who wait. */
function awake(connect: CrossConnect): CrossConnect {
  const { client } = connect;
  return client.kind === "wireguard" ? { ...connect, client: { ...client, waits: false } } : connect;
}
