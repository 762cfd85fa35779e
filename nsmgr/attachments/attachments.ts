import type { Connection } from "../../api/gen/connection/connection.js";
import type { Attachment, AttachRequest } from "../../api/gen/isthmus/v1/node.js";
import type { Handler, Token } from "../../core/chain.js";
import type { Clock } from "../../core/clock.js";
import { asMeshError, MeshError } from "../../core/error.js";
import type { HealState } from "../../core/heal.js";
import type { Log } from "../../core/log.js";
import { withMetricsBehind } from "../../core/metrics.js";
import type { Monitor } from "../../core/monitor.js";
import type { Sinks } from "../../core/observed.js";
import { firstSegment, ownSegment } from "../../core/path.js";
import type { Identity } from "../../identity/identity.js";
import type { Persisted } from "../../program/persisted.js";
import { deadline, orAborted } from "../deadline.js";
import type { Namespaces, NamespaceWatch } from "../namespaces.js";
import { Tasks } from "../tasks.js";
import type { AskParts } from "./adopted.js";
import { Book, type Entry } from "./book.js";
import { attachmentClient } from "./client.js";
import { Closing } from "./closing.js";
import { type AttachmentRecord, toAttachment } from "./record.js";
import { newRecord, toCall } from "./request.js";
import { Restoring } from "./restoring.js";

const requestMs = 15_000;
/** How long the owner waits for the other hops to let go; it goes on behind him after that. */
const closeMs = 10_000;

export interface AttachmentsParts {
  readonly server: Handler;
  readonly monitor: Monitor;
  readonly podTokens: Identity["podTokens"];
  readonly records: Persisted<AttachmentRecord>;
  readonly namespaces: Namespaces;
  readonly namespaceWatch: NamespaceWatch;
  readonly ask: AskParts;
  readonly clock: Clock;
  readonly log: Log;
  readonly sinks: Sinks;
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
  readonly #closing: Closing;
  readonly #restoring: Restoring;
  readonly #healed: () => void;

  constructor(parts: AttachmentsParts) {
    this.#parts = parts;
    this.#book = new Book(parts.records);
    this.#tasks = new Tasks(parts.log);
    const healed = parts.sinks.meter.counter("isthmus_heals_total", "Connections of this node that were healed", []);
    this.#healed = () => healed({});
    const gone = (id: string, { message }: MeshError) => this.#gone(id, message);
    this.#client = attachmentClient({
      ...parts,
      tokenFor: (conn) => this.#tokenFor(conn),
      keep: (id, conn) => this.#keep(id, conn),
      gone,
      notify: (id, state) => this.#notify(id, state),
      others: ({ id }) => this.#book.usedByOthers(id),
    });
    const shared = { ...parts, client: this.#client, book: this.#book, tasks: this.#tasks, gone };
    this.#closing = new Closing(shared);
    this.#restoring = new Restoring(shared);
  }

  /** Takes up what an earlier run left: what worked is asked for again, what was half-way is closed. */
  resume(): void {
    for (const entry of this.#book.load()) {
      const { state, netnsUrl, netnsIdentity, id } = entry.record;
      if (state === "requesting") void this.#closing.end(entry, "nsmgr stopped while it was requested");
      else if (state === "closing") void this.#closing.end(entry, "being closed");
      else if (this.#parts.namespaces.look(netnsUrl) !== netnsIdentity) this.#gone(id);
      else {
        this.#watchNamespace(entry);
        this.#tasks.spawn("restore attachment", (signal) => this.#restore(entry, signal), { connection: id });
      }
    }
  }

  has(id: string): boolean {
    return this.#book.get(id) !== undefined;
  }

  list(): Attachment[] {
    const now = new Map(this.#parts.monitor.list().map((conn) => [firstSegment(conn).id, conn]));
    return this.#book.all().map((entry) => withNow(toAttachment(entry), now.get(entry.record.id)));
  }

  /** How many there are in each state. */
  states(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>();
    for (const { record } of this.#book.all()) counts.set(record.state, (counts.get(record.state) ?? 0) + 1);
    return counts;
  }

  /** Resolves when the interface works. When it does not come to that, nothing is left at any hop. */
  async attach(request: AttachRequest, signal: AbortSignal): Promise<Attachment> {
    const { clock, log, namespaces } = this.#parts;
    const ms = request.timeoutMs || requestMs;
    const entry = await this.#book.add(newRecord(request, namespaces), clock.monotonic());
    using limit = deadline(clock, ms, `no connection to ${request.networkService} within ${ms} ms`, alsoBy(entry.abort, signal));
    try {
      limit.signal.throwIfAborted();
      await this.#client.request(toCall(entry.record, limit.signal));
    } catch (error) {
      await this.#book.remove(entry);
      const failure = limit.over ? limit.signal.reason : asMeshError(error);
      log.info("attachment failed", { connection: entry.record.id, service: request.networkService, error: failure });
      throw failure;
    } finally {
      entry.abort = undefined;
    }
    if (entry.closed !== undefined) {
      await entry.closed;
      throw new MeshError("cancelled", `attachment ${entry.record.id} was closed while it was requested`);
    }
    this.#watchNamespace(entry);
    log.info("attached", { connection: entry.record.id, service: request.networkService, ms: entry.record.establishedMs });
    return toAttachment(entry);
  }

  /**
   * Resolves when every hop has let go. When a hop cannot be told in time, rejects with "unreachable": here it is closing
   * already, and the hop is told as soon as it can be.
   */
  async detach(id: string, signal: AbortSignal): Promise<void> {
    const entry = this.#book.get(id);
    if (entry === undefined) throw new MeshError("not-found", `this node has no attachment ${id}; "nsmctl get attachments" lists them`);
    entry.abort?.abort(new MeshError("cancelled", `attachment ${id} was closed while it was requested`));
    const sentence = () => `attachment ${id} is closing, but not every hop could be told: ${entry.reason}; nsmgr goes on trying`;
    using limit = deadline(this.#parts.clock, closeMs, "", signal);
    try {
      await orAborted(this.#closing.end(entry, "closed by its owner"), limit.signal);
    } catch (error) {
      if (limit.over) throw new MeshError("unreachable", sentence());
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const entry of this.#book.all()) {
      entry.watch?.[Symbol.dispose]();
      entry.abort?.abort(new MeshError("cancelled", "nsmgr stops"));
    }
    await this.#tasks[Symbol.asyncDispose]();
  }

  async #restore(entry: Entry, signal: AbortSignal): Promise<void> {
    try {
      await this.#restoring.restore(entry, alsoBy(entry.abort, signal));
    } finally {
      entry.abort = undefined;
    }
  }

  /** With the labels that the pod has; what came back from other hops says nothing of it. */
  #tokenFor(conn: Connection): Promise<Token> {
    return this.#parts.podTokens(ownSegment(conn).name, this.#book.get(conn.id)?.record.podLabels ?? {});
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
    if (now.state === "healing" && entry.record.state === "healing") return;
    if (now.state === "up") this.#healed();
    const heals = entry.record.heals + (now.state === "up" ? 1 : 0);
    this.#parts.log.info(now.state === "up" ? "attachment healed" : "attachment heals", { connection: id, reason: entry.reason });
    this.#tasks.spawn("keep attachment", () => this.#book.change(entry, { state: now.state, heals }), { connection: id });
  }

  #watchNamespace(entry: Entry): void {
    const { id, netnsUrl, netnsIdentity } = entry.record;
    entry.watch = this.#parts.namespaceWatch.add(netnsUrl, netnsIdentity, () => this.#gone(id));
  }

  #gone(id: string, why = "its network namespace is gone"): void {
    const entry = this.#book.get(id);
    if (entry !== undefined && entry.record.state !== "requesting") void this.#closing.end(entry, why);
  }
}

/** The attachment with what the hops have said of its connection since the last request. */
function withNow(attachment: Attachment, now: Connection | undefined): Attachment {
  const { connection } = attachment;
  if (connection === undefined || now === undefined) return attachment;
  return { ...attachment, connection: { ...withMetricsBehind(connection, now), state: now.state } };
}

function alsoBy(abort: AbortController | undefined, signal: AbortSignal): AbortSignal {
  return abort === undefined ? signal : AbortSignal.any([signal, abort.signal]);
}
