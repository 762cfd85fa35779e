import type { Handler } from "../../core/chain.js";
import type { Clock } from "../../core/clock.js";
import { asMeshError, isOver, type MeshError } from "../../core/error.js";
import type { Log } from "../../core/log.js";
import { isDataPathDead } from "../../core/metrics.js";
import { RESELECT_REQUESTED, UP } from "../../core/states.js";
import { Backoff } from "../backoff.js";
import { deadline } from "../deadline.js";
import { Slots } from "../slots.js";
import { type AskParts, askForwarders } from "./adopted.js";
import type { Entry } from "./book.js";
import { toCall } from "./request.js";

const tryMs = 15_000;
/** This many are asked for at a time. */
const atOnce = 16;

export interface RestoringParts {
  readonly client: Handler;
  readonly ask: AskParts;
  readonly gone: (id: string, why: MeshError) => void;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
}

/** After a restart: asks again for what was there, for as long as it takes. The endpoint stays, unless no packets cross to it. */
export class Restoring {
  readonly #parts: RestoringParts;
  readonly #slots = new Slots(atOnce);

  constructor(parts: RestoringParts) {
    this.#parts = parts;
  }

  async restore(entry: Entry, signal: AbortSignal): Promise<void> {
    const backoff = new Backoff(this.#parts);
    let reselect = false;
    while (!signal.aborted && entry.closed === undefined) {
      if (await this.#slots.run(() => this.#restored(entry, reselect, signal))) return;
      reselect = await this.#isDead(entry, signal);
      await backoff.wait(signal).catch(() => {});
    }
  }

  /** One try: whether there is nothing more to do. */
  async #restored(entry: Entry, reselect: boolean, signal: AbortSignal): Promise<boolean> {
    const { clock, client, log, gone } = this.#parts;
    using limit = deadline(clock, tryMs, `no answer within ${tryMs} ms`, signal);
    const call = toCall(entry.record, limit.signal);
    try {
      await client.request({ ...call, connection: { ...call.connection, state: reselect ? RESELECT_REQUESTED : UP } });
      return true;
    } catch (error) {
      const known = asMeshError(error);
      const { message } = known;
      if (isOver(known)) gone(entry.record.id, known);
      entry.reason = message;
      log.info("attachment not back yet", { connection: entry.record.id, reselect, error: message });
      return isOver(known);
    }
  }

  /** The forwarder outlived us, and looks at the data path. */
  async #isDead(entry: Entry, signal: AbortSignal): Promise<boolean> {
    const found = await askForwarders(this.#parts.ask, entry.record.id, signal);
    return found !== undefined && isDataPathDead(found);
  }
}
