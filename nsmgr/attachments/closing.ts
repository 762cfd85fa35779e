import type { Connection } from "../../api/gen/connection/connection.js";
import type { Handler } from "../../core/chain.js";
import type { Clock } from "../../core/clock.js";
import { asMeshError } from "../../core/error.js";
import type { Log } from "../../core/log.js";
import { fromTimestamp } from "../../core/timestamp.js";
import { Backoff } from "../backoff.js";
import { deadline } from "../deadline.js";
import type { Tasks } from "../tasks.js";
import { type AskParts, askForwarders } from "./adopted.js";
import type { Book, Entry } from "./book.js";
import type { AttachmentRecord } from "./record.js";
import { toConnection } from "./request.js";

const tryMs = 5_000;

export interface ClosingParts {
  readonly client: Handler;
  readonly book: Book;
  readonly ask: AskParts;
  readonly tasks: Tasks;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
}

/** Closes attachments at every hop, however long that takes; on disk they stay "closing" until it is done. */
export class Closing {
  readonly #parts: ClosingParts;

  constructor(parts: ClosingParts) {
    this.#parts = parts;
  }

  /** Once per attachment; the promise resolves when every hop has let go, and never rejects. */
  end(entry: Entry, reason: string): Promise<void> {
    if (entry.closed !== undefined) return entry.closed;
    const { tasks, log } = this.#parts;
    entry.watch?.[Symbol.dispose]();
    entry.reason = reason;
    log.info("attachment closing", { connection: entry.record.id, reason });
    const closed = new Promise<void>((resolve) => {
      const close = async (signal: AbortSignal) => {
        await this.#close(entry, signal);
        resolve();
      };
      tasks.spawn("close attachment", close, { connection: entry.record.id });
    });
    entry.closed = closed;
    return closed;
  }

  async #close(entry: Entry, signal: AbortSignal): Promise<void> {
    const { book, clock, random, log } = this.#parts;
    await book.change(entry, { state: "closing" });
    const backoff = new Backoff({ clock, random });
    while (!(await this.#closeOnce(entry, signal))) {
      await backoff.wait(signal).catch(() => {});
      if (signal.aborted) return;
    }
    await book.remove(entry);
    log.info("attachment closed", { connection: entry.record.id });
  }

  /** Whether there is nothing more to do. */
  async #closeOnce(entry: Entry, signal: AbortSignal): Promise<boolean> {
    const { clock, client, log } = this.#parts;
    using limit = deadline(clock, tryMs, `no answer to the close within ${tryMs} ms`, signal);
    try {
      const connection = entry.record.connection ?? (await this.#halfMade(entry, limit.signal)) ?? toConnection(entry.record);
      await client.close({ connection, preferences: [], signal: limit.signal });
      return true;
    } catch (error) {
      entry.reason = asMeshError(error).message;
      log.info("attachment not closed everywhere yet", { connection: entry.record.id, error: entry.reason });
      // By then every hop has closed it by itself.
      return clock.now() > lastExpiry(entry.record);
    }
  }

  /** The connection of an attachment whose first request we did not see the end of. */
  async #halfMade(entry: Entry, signal: AbortSignal): Promise<Connection | undefined> {
    const { id } = entry.record;
    const found = await askForwarders(this.#parts.ask, id, signal);
    return found?.path && { ...found, id, path: { ...found.path, index: 0 } };
  }
}

function lastExpiry({ connection }: AttachmentRecord): number {
  const ends = connection?.path?.pathSegments.map(({ expires }) => (expires === undefined ? 0 : fromTimestamp(expires))) ?? [];
  return Math.max(0, ...ends);
}
