import type { Connection } from "../../api/gen/connection/connection.js";
import { serverChain } from "../../core/assembly.js";
import { type Begin, begin } from "../../core/begin.js";
import { type Element, end, type Handler } from "../../core/chain.js";
import type { Prover } from "../../core/checkTokens.js";
import type { Clock } from "../../core/clock.js";
import { MeshError } from "../../core/error.js";
import { hop } from "../../core/hop.js";
import { type LeaseStore, type PointToPointIpam, pointToPointIpam } from "../../core/ipam/pointToPoint.js";
import type { Log } from "../../core/log.js";
import type { Monitor } from "../../core/monitor.js";
import { observed, type Sinks } from "../../core/observed.js";
import { type Timeout, timeout } from "../../core/timeout.js";
import type { TokenSource } from "../../core/token.js";
import { onlyFamiliesOf } from "./families.js";
import { servedInterface } from "./kernel.js";
import type { HostedRecord } from "./record.js";

export interface HostedParts {
  readonly tokens: TokenSource;
  readonly prover: Prover;
  readonly monitor: Monitor;
  readonly leases: LeaseStore;
  readonly node: string;
  readonly site: string;
  /** How long a client of before a restart has to come back. */
  readonly graceMs: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly sinks: Sinks;
}

/** One endpoint that nsmgr serves: the last hop of its connections. */
export class HostedEndpoint implements Disposable {
  readonly record: HostedRecord;
  readonly handler: Handler;
  readonly #begin: Begin;
  readonly #timeout: Timeout;
  readonly #ipam: PointToPointIpam;
  readonly #parts: HostedParts;
  #reaper: Disposable | undefined;

  constructor(record: HostedRecord, parts: HostedParts) {
    this.record = record;
    this.#parts = parts;
    const { clock, log, tokens, prover, monitor, node, site } = parts;
    this.#begin = begin({ log });
    this.#timeout = timeout({ clock, log, end: (id, due) => this.#begin.end(id, undefined, due) });
    this.#ipam = pointToPointIpam({ cidrs: record.cidrs, leases: parts.leases });
    this.handler = serverChain({
      name: record.name,
      ...{ tokens, prover, clock, log, monitor, begin: this.#begin, timeout: this.#timeout },
      observed: observed({ ...parts, hop: "endpoint" }),
      elements: [
        hop({ program: "endpoint", node, site, clock }),
        payload(record),
        onlyFamiliesOf(record.cidrs),
        this.#ipam,
        servedInterface(record),
      ],
      tail: end,
    });
  }

  get connections(): Connection[] {
    return this.#begin.list();
  }

  /** After a restart: frees the addresses of clients that do not come back in time. */
  reapLater(): void {
    const { clock, graceMs, log } = this.#parts;
    this.#reaper = clock.after(graceMs, () => {
      this.#reap().catch((error: unknown) => log.error("addresses of lost clients not freed", { endpoint: this.record.name, error }));
    });
  }

  /** Ends all connections, from this end. */
  async closeAll(): Promise<void> {
    await Promise.all(this.connections.map((conn) => this.#begin.end(conn.id)));
  }

  [Symbol.dispose](): void {
    this.#reaper?.[Symbol.dispose]();
  }

  async #reap(): Promise<void> {
    const alive = new Set(this.connections.map((conn) => conn.id));
    for (const lease of await this.#ipam.leases()) {
      for (const id of lease.connections.filter((holder) => !alive.has(holder))) {
        this.#parts.log.info("addresses of a lost client freed", { connection: id, endpoint: this.record.name, client: lease.client });
        await this.#ipam.free(id);
      }
    }
  }
}

/** What the endpoint carries, where the hops before it did not say; nothing else. */
function payload({ name, payload: carried }: HostedRecord): Element {
  return {
    name: "payload",
    async request(call, next) {
      const { payload: asked } = call.connection;
      if (asked === "") return await next.request({ ...call, connection: { ...call.connection, payload: carried } });
      if (asked !== carried && !call.established)
        throw new MeshError("no-endpoint", `the endpoint ${name} carries ${carried}, not ${asked}`);
      return await next.request(call);
    },
  };
}
