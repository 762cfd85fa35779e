import type { Clock } from "../../core/clock.js";
import type { Log } from "../../core/log.js";
import type { Forwarding } from "./forwarding.js";
import { datagramLimit, encodeReply, largestMessage, parseMessage, type Query, type Reply, relay } from "./message.js";
import { Rates } from "./rates.js";
import { Shares } from "./shares.js";
import type { Transport } from "./upstream.js";
import type { Zone } from "./zone.js";

/** What has been asked since the start, and what of it came to nothing. */
export interface ResolverStats {
  readonly queries: number;
  /** Of which the segment's zone answered so many itself. */
  readonly own: number;
  readonly forwarded: number;
  /** Others were asked, and none answered. */
  readonly failed: number;
  /** Zone transfers, updates, strange classes. */
  readonly refused: number;
  /** Answers that did not fit into a packet. */
  readonly truncated: number;
  readonly malformed: number;
  /** Because the client, or all together, asked too often, or has too much open. */
  readonly limited: number;
  /** Now. */
  readonly outstanding: number;
}

export interface AnsweringLimits {
  /** Queries a second of one client, and of all together. */
  readonly clientRate: number;
  readonly rate: number;
  /** Questions to others that are open at a time. */
  readonly outstanding: number;
}

export interface AnsweringParts {
  readonly zone: () => Zone;
  readonly forwarding: Pick<Forwarding, "ask">;
  readonly limits: AnsweringLimits;
  readonly clock: Clock;
  readonly log: Log;
}

/** Who asks, and how. */
export interface Asker {
  /** Its address. */
  readonly client: string;
  readonly transport: Transport;
}

/** From a message to its answer, without sockets: our own names from the zone, all others from those who know. */
export class Answering {
  readonly #parts: AnsweringParts;
  readonly #rates: Rates;
  readonly #open: Shares;
  readonly #counts = { queries: 0, own: 0, forwarded: 0, failed: 0, refused: 0, truncated: 0, malformed: 0, limited: 0 };
  #turn = 0;

  constructor(parts: AnsweringParts) {
    this.#parts = parts;
    this.#rates = new Rates({ each: parts.limits.clientRate, all: parts.limits.rate, clock: parts.clock });
    this.#open = new Shares(parts.limits.outstanding);
  }

  stats(): ResolverStats {
    return { ...this.#counts, outstanding: this.#open.taken };
  }

  /** The answer's bytes; undefined for what gets none. Rejects only when `signal` ends. */
  async answer(bytes: Buffer, asker: Asker, signal: AbortSignal): Promise<Buffer | undefined> {
    this.#counts.queries++;
    if (!this.#rates.take(asker.client)) return this.#drop("limited");
    const { query, refusal } = parseMessage(bytes);
    if (refusal !== undefined) {
      this.#counts.refused++;
      return refusal;
    }
    if (query === undefined) return this.#drop("malformed");
    const limit = asker.transport === "udp" ? datagramLimit(query) : largestMessage;
    const reply = this.#ownReply(query);
    return reply === undefined ? await this.#forward(query, asker, limit, signal) : this.#counted(encodeReply(query, reply, limit));
  }

  /** Undefined for what others are to be asked. */
  #ownReply(query: Query): Reply | undefined {
    const { edns, class: kind, type } = query;
    if (edns !== undefined && edns.version !== 0) return { rcode: "BADVERS" };
    if (kind !== "IN" || type === "AXFR" || type === "IXFR") {
      this.#counts.refused++;
      return { rcode: "REFUSED" };
    }
    const found = this.#parts.zone().find(query, this.#turn++);
    if (found === undefined) return undefined;
    this.#counts.own++;
    return { ...found, authoritative: true };
  }

  async #forward(query: Query, { client, transport }: Asker, limit: number, signal: AbortSignal): Promise<Buffer> {
    using place = this.#open.take(client);
    if (place === undefined) {
      this.#counts.limited++;
      return encodeReply(query, { rcode: "SERVFAIL" }, limit);
    }
    this.#counts.forwarded++;
    const answer = await this.#parts.forwarding.ask(query, transport, signal);
    if (answer !== undefined) return this.#counted(relay(query, answer, limit));
    this.#counts.failed++;
    this.#parts.log.debug("name not resolved", { client });
    return encodeReply(query, { rcode: "SERVFAIL" }, limit);
  }

  #drop(why: "limited" | "malformed"): undefined {
    this.#counts[why]++;
    return undefined;
  }

  #counted(answer: Buffer): Buffer {
    if (((answer[2] ?? 0) & 0x02) !== 0) this.#counts.truncated++;
    return answer;
  }
}
