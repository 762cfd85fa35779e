import { type Connection, State } from "../../api/gen/connection/connection.js";
import type { Attachment, AttachRequest } from "../../api/gen/isthmus/v1/node.js";
import type { Call, Handler } from "../../core/chain.js";
import type { Clock } from "../../core/clock.js";
import { asMeshError, MeshError } from "../../core/error.js";
import type { HealState } from "../../core/heal.js";
import type { Log } from "../../core/log.js";
import type { Monitor } from "../../core/monitor.js";
import type { TokenSource } from "../../core/token.js";
import { Backoff } from "../backoff.js";
import { deadline, orAborted } from "../deadline.js";
import type { Namespaces, NamespaceWatch } from "../namespaces.js";
import type { Persisted } from "../persisted.js";
import { Slots } from "../slots.js";
import { Tasks } from "../tasks.js";
import { type AskParts, askForwarders, isDead } from "./adopted.js";
import { Book, type Entry } from "./book.js";
import { attachmentClient } from "./client.js";
import { type AttachmentRecord, toAttachment } from "./record.js";
import { newRecord, toConnection, toPreferences } from "./request.js";

const requestMs = 15_000;
/** How long the owner waits for the other hops to let go; it goes on behind him after that. */
const closeMs = 10_000;
const closeTryMs = 5_000;
/** After a restart, this many are asked for at a time. */
const atOnce = 16;

export interface AttachmentsParts {
  readonly server: Handler;
  readonly monitor: Monitor;
  readonly tokens: TokenSource;
  readonly records: Persisted<AttachmentRecord>;
  readonly namespaces: Namespaces;
  readonly namespaceWatch: NamespaceWatch;
  readonly ask: AskParts;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
}

/**
 * The connections that this node keeps on behalf of pods. Each is on disk before it is asked for, is refreshed and healed
 * here and nowhere else, and is closed at every hop when its owner says so or its network namespace is gone.
 */
export class Attachments implements AsyncDisposable {
  readonly #parts: AttachmentsParts;
  readonly #book: Book;
  readonly #client: Handler;
  readonly #tasks: Tasks;
  readonly #slots = new Slots(atOnce);

  constructor(parts: AttachmentsParts) {
    this.#parts = parts;
    this.#book = new Book(parts.records);
    this.#tasks = new Tasks(parts.log);
    const { server, monitor, tokens, clock, log, random } = parts;
    this.#client = attachmentClient({
      ...{ server, monitor, tokens, clock, log, random },
      keep: (id, conn) => this.#keep(id, conn),
      gone: (id) => this.#gone(id),
      notify: (id, state) => this.#notify(id, state),
    }).handler;
  }

  /** Takes up what an earlier run left: what worked is asked for again, what was half-way is closed. */
  resume(): void {
    for (const entry of this.#book.load()) {
      const { state, netnsUrl, netnsIdentity, id } = entry.record;
      if (state === "requesting") void this.#end(entry, "nsmgr stopped while it was requested");
      else if (state === "closing") void this.#end(entry, "being closed");
      else if (this.#parts.namespaces.look(netnsUrl) !== netnsIdentity) this.#gone(id);
      else {
        this.#watchNamespace(entry);
        this.#tasks.spawn("restore attachment", (signal) => this.#restore(entry, signal));
      }
    }
  }

  list(): Attachment[] {
    return this.#book.all().map(toAttachment);
  }

  get(id: string): Attachment | undefined {
    const entry = this.#book.get(id);
    return entry && toAttachment(entry);
  }

  /** Resolves when the interface works. When it does not come to that, nothing is left at any hop. */
  async attach(request: AttachRequest, signal: AbortSignal): Promise<Attachment> {
    const { clock, log, namespaces } = this.#parts;
    const ms = request.timeoutMs || requestMs;
    const entry = await this.#book.add(newRecord(request, namespaces), clock.monotonic());
    using limit = deadline(
      clock,
      ms,
      `no connection to ${request.networkService} within ${ms} ms`,
      AbortSignal.any([signal, entry.abort.signal]),
    );
    try {
      limit.signal.throwIfAborted();
      await this.#client.request(this.#call(entry, limit.signal));
    } catch (error) {
      await this.#book.remove(entry);
      const failure = limit.over ? limit.signal.reason : asMeshError(error);
      log.info("attachment failed", { attachment: entry.record.id, service: request.networkService, error: failure });
      throw failure;
    }
    if (entry.closed !== undefined) {
      await entry.closed;
      throw new MeshError("cancelled", `attachment ${entry.record.id} was closed while it was requested`);
    }
    this.#watchNamespace(entry);
    log.info("attached", { attachment: entry.record.id, service: request.networkService, ms: entry.record.establishedMs });
    return toAttachment(entry);
  }

  /**
   * Resolves when every hop has let go. When a hop cannot be told in time, rejects with "unreachable": here it is closing
   * already, and the hop is told as soon as it can be.
   */
  async detach(id: string, signal: AbortSignal): Promise<void> {
    const entry = this.#book.get(id);
    if (entry === undefined) throw new MeshError("not-found", `this node has no attachment ${id}; "nsmctl get attachments" lists them`);
    entry.abort.abort(new MeshError("cancelled", `attachment ${id} was closed while it was requested`));
    const sentence = () => `attachment ${id} is closing, but not every hop could be told: ${entry.reason}; nsmgr goes on trying`;
    using limit = deadline(this.#parts.clock, closeMs, "", signal);
    try {
      await orAborted(this.#end(entry, "closed by its owner"), limit.signal);
    } catch (error) {
      if (limit.over) throw new MeshError("unreachable", sentence());
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const entry of this.#book.all()) {
      entry.watch?.[Symbol.dispose]();
      entry.abort.abort(new MeshError("cancelled", "nsmgr stops"));
    }
    await this.#tasks[Symbol.asyncDispose]();
  }

  #call(entry: Entry, signal: AbortSignal): Call {
    const connection = { ...toConnection(entry.record), state: State.UP };
    return { connection, preferences: toPreferences(entry.record), signal };
  }

  async #keep(id: string, connection: Connection): Promise<void> {
    const entry = this.#book.get(id);
    if (entry === undefined || entry.record.state === "closing") return;
    const first = entry.record.state === "requesting";
    const establishedMs = first ? this.#parts.clock.monotonic() - entry.started : entry.record.establishedMs;
    entry.reason = "";
    await this.#book.change(entry, { connection, state: "up", establishedMs });
  }

  #notify(id: string, now: HealState): void {
    const entry = this.#book.get(id);
    if (entry === undefined || entry.record.state === "closing") return;
    entry.reason = now.state === "healing" ? now.reason : "";
    if (now.state === "up") this.#parts.log.info("attachment healed", { attachment: id });
    this.#tasks.spawn("keep attachment", () =>
      this.#book.change(entry, { state: now.state, heals: entry.record.heals + (now.state === "up" ? 1 : 0) }),
    );
  }

  #watchNamespace(entry: Entry): void {
    const { id, netnsUrl, netnsIdentity } = entry.record;
    entry.watch = this.#parts.namespaceWatch.add(netnsUrl, netnsIdentity, () => this.#gone(id));
  }

  #gone(id: string): void {
    const entry = this.#book.get(id);
    if (entry !== undefined && entry.record.state !== "requesting") void this.#end(entry, "its network namespace is gone");
  }

  /** After a restart: asks again for what was there, for as long as it takes. */
  async #restore(entry: Entry, signal: AbortSignal): Promise<void> {
    const { clock, random, log, ask } = this.#parts;
    const stop = AbortSignal.any([signal, entry.abort.signal]);
    const backoff = new Backoff({ clock, random });
    let reselect = false;
    while (!stop.aborted && entry.closed === undefined) {
      try {
        await this.#slots.run(() => this.#askAgain(entry, reselect, stop));
        return;
      } catch (error) {
        if (stop.aborted) return;
        const failure = asMeshError(error);
        if (failure.code === "netns-gone") return this.#gone(entry.record.id);
        entry.reason = failure.message;
        log.info("attachment not back yet", { attachment: entry.record.id, error: failure.message });
        reselect = isDead(await askForwarders(ask, entry.record.id, stop));
        await backoff.wait(stop).catch(() => {});
      }
    }
  }

  async #askAgain(entry: Entry, reselect: boolean, signal: AbortSignal): Promise<void> {
    using limit = deadline(this.#parts.clock, requestMs, `no answer within ${requestMs} ms`, signal);
    const call = this.#call(entry, limit.signal);
    const state = reselect ? State.RESELECT_REQUESTED : State.UP;
    await this.#client.request({ ...call, connection: { ...call.connection, state } });
  }

  /** Closes it at every hop, once; the promise resolves when that is done. */
  #end(entry: Entry, reason: string): Promise<void> {
    if (entry.closed !== undefined) return entry.closed;
    entry.watch?.[Symbol.dispose]();
    entry.reason = reason;
    this.#parts.log.info("attachment closing", { attachment: entry.record.id, reason });
    const closed = new Promise<void>((resolve) => {
      this.#tasks.spawn("close attachment", async (signal) => {
        await this.#close(entry, signal);
        resolve();
      });
    });
    entry.closed = closed;
    return closed;
  }

  async #close(entry: Entry, signal: AbortSignal): Promise<void> {
    const { clock, random, log } = this.#parts;
    const { id } = entry.record;
    await this.#book.change(entry, { state: "closing" });
    const backoff = new Backoff({ clock, random });
    while (!signal.aborted) {
      try {
        await this.#closeOnce(entry, signal);
        break;
      } catch (error) {
        entry.reason = asMeshError(error).message;
        log.info("attachment not closed everywhere yet", { attachment: id, error: entry.reason });
        if (clock.now() > lastExpiry(entry.record)) break; // by now every hop has closed it by itself
        await backoff.wait(signal).catch(() => {});
      }
    }
    if (signal.aborted) return;
    await this.#book.remove(entry);
    log.info("attachment closed", { attachment: id });
  }

  async #closeOnce(entry: Entry, signal: AbortSignal): Promise<void> {
    using limit = deadline(this.#parts.clock, closeTryMs, `no answer to the close within ${closeTryMs} ms`, signal);
    const connection = entry.record.connection ?? (await this.#halfMade(entry, limit.signal));
    await this.#client.close({ connection: connection ?? toConnection(entry.record), preferences: [], signal: limit.signal });
  }

  /** The connection of an attachment whose first request we did not see the end of. */
  async #halfMade(entry: Entry, signal: AbortSignal): Promise<Connection | undefined> {
    const { id } = entry.record;
    const found = await askForwarders(this.#parts.ask, id, signal);
    return found?.path && { ...found, id, path: { ...found.path, index: 0 } };
  }
}

function lastExpiry(record: AttachmentRecord): number {
  const ends = record.connection?.path?.pathSegments.map((segment) => (segment.expires?.seconds ?? 0) * 1000) ?? [];
  return Math.max(0, ...ends);
}
