import { randomInt } from "node:crypto";
import type { Clock } from "../../core/clock.js";
import { deadline } from "../../core/deadline.js";
import { answers, encodeForward, isRefusal, type Query } from "./message.js";
import { ask, type Transport, type Upstream } from "./upstream.js";

/** How long one is waited for. */
const tryMs = 1_500;
/** Clients ask again after 5 s, by default. */
const totalMs = 4_500;
/** Packets get lost: each is asked so often. */
const rounds = 2;

export interface ForwardingParts {
  readonly upstreams: readonly Upstream[];
  readonly clock: Clock;
  /** Replaced in tests that do without sockets. */
  readonly ask?: typeof ask;
}

/** Asks others what is not ours to know: one after the other, beginning with the one that answered last. */
export class Forwarding {
  readonly #parts: ForwardingParts;
  readonly #ask: typeof ask;
  #first = 0;

  constructor(parts: ForwardingParts) {
    this.#parts = parts;
    this.#ask = parts.ask ?? ask;
  }

  /** The bytes of an answer; undefined when nobody gave one in time. Rejects only when `signal` ends. */
  async ask(query: Query, transport: Transport, signal: AbortSignal): Promise<Buffer | undefined> {
    const { upstreams, clock } = this.#parts;
    using total = deadline(clock, totalMs, signal);
    let refusal: Buffer | undefined;
    for (let turn = 0; turn < upstreams.length * rounds && !total.signal.aborted; turn++) {
      // Those who said no will not say yes a moment later.
      if (turn >= upstreams.length && refusal !== undefined) break;
      const at = (this.#first + turn) % upstreams.length;
      const answer = await this.#one(upstreams[at] as Upstream, query, transport, total.signal);
      if (answer === undefined) continue;
      if (!isRefusal(answer)) {
        this.#first = at;
        return answer;
      }
      refusal = answer;
    }
    signal.throwIfAborted();
    return refusal;
  }

  async #one(upstream: Upstream, query: Query, transport: Transport, signal: AbortSignal): Promise<Buffer | undefined> {
    using limit = deadline(this.#parts.clock, tryMs, signal);
    // Whoever wants to answer in another's place has to guess it, and the port.
    const id = randomInt(65_536);
    const wanted = (bytes: Buffer) => answers(bytes, query, id);
    return await this.#ask(upstream, transport, encodeForward(query, id), { wanted, signal: limit.signal }).catch(() => undefined);
  }
}
