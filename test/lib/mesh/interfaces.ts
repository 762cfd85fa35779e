import type { Connection, Mechanism } from "../../../api/gen/connection/connection.js";
import type { Element } from "../../../core/chain.js";
import { MeshError } from "../../../core/error.js";
import { KERNEL, LOCAL, NODE_TUNNEL, REMOTE } from "../../../core/mechanism.js";

/** One side of a connection: an interface in a pod, or the end of a tunnel. */
interface Side {
  readonly mechanism: Mechanism;
}

/** Answers and asks for mechanisms as a forwarder does, and keeps a list instead of a kernel. */
export class StubInterfaces {
  readonly #client = new Map<string, Side>();
  readonly #server = new Map<string, Side>();

  /** Everything that is made, as `NETNS NAME` or `tunnel`, sorted. */
  list(): string[] {
    return [...this.#client.values(), ...this.#server.values()].map(({ mechanism }) => nameOf(mechanism)).sort();
  }

  readonly element: Element = {
    name: "interfaces",
    request: async (call, next) => {
      const { id } = call.connection;
      const server = this.#serverSide(call.connection, call.preferences);
      this.#server.set(id, { mechanism: server });
      const local = call.target?.startsWith("unix:") ?? false;
      const wanted: Mechanism = local ? { cls: LOCAL, type: KERNEL, parameters: {} } : { cls: REMOTE, type: NODE_TUNNEL, parameters: {} };
      const before = this.#client.get(id)?.mechanism;
      const mechanism = before?.type === wanted.type ? before : undefined;
      const conn = await next.request({ ...call, connection: { ...call.connection, mechanism }, preferences: [wanted] });
      if (conn.mechanism === undefined) throw new MeshError("no-mechanism", "the next hop answered without a mechanism");
      this.#client.set(id, { mechanism: conn.mechanism });
      return { ...conn, mechanism: server };
    },
    close: async (call, next) => {
      const { id } = call.connection;
      const mechanism = this.#client.get(id)?.mechanism;
      this.#server.delete(id);
      this.#client.delete(id);
      await next.close({ ...call, connection: { ...call.connection, mechanism } });
    },
  };

  #serverSide(conn: Connection, preferences: readonly Mechanism[]): Mechanism {
    const had = this.#server.get(conn.id)?.mechanism ?? conn.mechanism;
    const offer = [...(had === undefined ? [] : [had]), ...preferences].find(({ type }) => type === KERNEL || type === NODE_TUNNEL);
    if (offer === undefined) throw new MeshError("no-mechanism", "nothing that this forwarder can do was offered");
    if (offer.type !== KERNEL || offer.parameters.name) return offer;
    return { ...offer, parameters: { ...offer.parameters, name: this.#firstFree(offer.parameters.inodeURL ?? "") } };
  }

  #firstFree(netns: string): string {
    const taken = new Set(
      [...this.#server.values()]
        .filter(({ mechanism }) => mechanism.parameters.inodeURL === netns)
        .map(({ mechanism }) => mechanism.parameters.name),
    );
    for (let i = 0; ; i++) if (!taken.has(`nsm${i}`)) return `nsm${i}`;
  }
}

function nameOf({ type, parameters }: Mechanism): string {
  return type === KERNEL ? `${parameters.inodeURL?.replace("file:///run/netns/", "")} ${parameters.name}` : "tunnel";
}
