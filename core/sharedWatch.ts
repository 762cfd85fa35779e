import type { Connection, ConnectionEvent, ConnectionEventType, MonitorScopeSelector } from "../api/gen/connection/connection.js";
import type { Clock } from "./clock.js";
import { asMeshError } from "./error.js";
import { RecentMap } from "./recentMap.js";
import { DELETE, INITIAL_STATE_TRANSFER } from "./states.js";

/** Opens a monitor stream to a url. */
export type Watch = (url: string, selector: MonitorScopeSelector, signal: AbortSignal) => AsyncIterable<ConnectionEvent>;

/** A stream is kept for so long after the last connection that followed it. */
const keptMs = 60_000;
/** A next hop publishes what it answers, so it is heard of by then; one that is not is asked about by itself. */
const graceMs = 1000;
/** A next hop may speak of more connections than we have there; one that is forgotten is asked about by itself. */
const mostEarly = 4096;

/**
 * One stream to each next hop, shared by all connections that a segment of ours has there, in place of one for each. A reader sees
 * what its own stream would show it: its connection's state first, then the latest of what changes; it ends as the stream ends.
 */
export function sharedWatch(watch: Watch, clock: Clock): Watch {
  const streams = new Map<string, Stream>();
  return (url, selector, signal) => {
    const [own] = selector.pathSegments;
    if (own === undefined || own.name === "" || own.id === "") return watch(url, selector, signal);
    const key = `${url} ${own.name}`;
    const alone = () => watch(url, selector, signal);
    const known = streams.get(key);
    if (known !== undefined) return known.read(own.id, signal, alone);
    const stream = new Stream(own.name, clock);
    streams.set(key, stream);
    const wide = { pathSegments: [{ ...own, id: "" }], networkServices: [] };
    void stream.run((life) => watch(url, wide, life)).then(() => streams.delete(key));
    return stream.read(own.id, signal, alone);
  };
}

/** What one reader has not read yet. */
class Reader {
  next: ConnectionEvent | undefined;
  /** Nothing was heard in time. */
  unsure = false;
  wake: () => void = () => {};
  #grace: Disposable;

  constructor(clock: Clock) {
    this.#grace = clock.after(graceMs, () => {
      this.unsure = true;
      this.wake();
    });
  }

  offer(event: ConnectionEvent): void {
    this.next = event;
    this.sure();
    this.wake();
  }

  sure(): void {
    this.#grace[Symbol.dispose]();
  }

  something(): Promise<void> {
    return new Promise((resolve) => {
      this.wake = resolve;
    });
  }
}

class Stream {
  /** The segment's name whose connections it shows. */
  readonly #name: string;
  readonly #clock: Clock;
  readonly #life = new AbortController();
  readonly #readers = new Map<string, Reader>();
  /** What was heard last of connections that nobody reads of, mostly because their answer is still on its way. */
  readonly #early = new RecentMap<string, Connection>(mostEarly);
  #listed = false;
  #ended: { readonly error: unknown } | undefined;
  #idle: Disposable | undefined;

  constructor(name: string, clock: Clock) {
    this.#name = name;
    this.#clock = clock;
  }

  /** Resolves when the stream has ended and its readers know. */
  async run(open: (life: AbortSignal) => AsyncIterable<ConnectionEvent>): Promise<void> {
    let error: unknown;
    try {
      for await (const event of open(this.#life.signal)) this.#hear(event);
    } catch (thrown) {
      error = thrown;
    }
    this.#ended = { error };
    this.#idle?.[Symbol.dispose]();
    for (const reader of this.#readers.values()) reader.wake();
  }

  async *read(id: string, signal: AbortSignal, alone: () => AsyncIterable<ConnectionEvent>): AsyncGenerator<ConnectionEvent> {
    if (signal.aborted) return;
    if (this.#readers.has(id)) return yield* alone();
    const reader = this.#enter(id);
    const wake = () => reader.wake();
    signal.addEventListener("abort", wake, { once: true });
    try {
      while (!signal.aborted && !reader.unsure) {
        const event = reader.next;
        reader.next = undefined;
        if (event !== undefined) yield event;
        else if (this.#ended === undefined) await reader.something();
        else if (this.#ended.error === undefined) return;
        else if (this.#couldNotList(this.#ended.error)) break;
        else throw this.#ended.error;
      }
    } finally {
      signal.removeEventListener("abort", wake);
      this.#leave(id, reader);
    }
    if (!signal.aborted) yield* alone();
  }

  /** It answered, and not with a list: that may be too long for one message, where each reader's own is not. */
  #couldNotList(error: unknown): boolean {
    return !this.#listed && asMeshError(error).code !== "unreachable";
  }

  #enter(id: string): Reader {
    const reader = new Reader(this.#clock);
    this.#readers.set(id, reader);
    this.#idle?.[Symbol.dispose]();
    this.#idle = undefined;
    const early = this.#early.get(id);
    if (early !== undefined) reader.offer(only(INITIAL_STATE_TRANSFER, early));
    this.#early.delete(id);
    return reader;
  }

  #leave(id: string, reader: Reader): void {
    reader.sure();
    this.#readers.delete(id);
    if (this.#readers.size === 0 && this.#ended === undefined) this.#idle = this.#clock.after(keptMs, () => this.#life.abort());
  }

  #hear({ type, connections }: ConnectionEvent): void {
    const unheard = new Set(this.#readers.keys());
    if (type === INITIAL_STATE_TRANSFER) {
      this.#listed = true;
      this.#early.clear();
    }
    for (const conn of Object.values(connections)) {
      for (const { name, id } of conn.path?.pathSegments ?? []) {
        if (name !== this.#name) continue;
        unheard.delete(id);
        this.#tell(id, type, conn);
      }
    }
    if (type === INITIAL_STATE_TRANSFER) for (const id of unheard) this.#readers.get(id)?.offer({ type, connections: {} });
  }

  #tell(id: string, type: ConnectionEventType, conn: Connection): void {
    const reader = this.#readers.get(id);
    if (reader !== undefined) reader.offer(only(type, conn));
    else if (type === DELETE) this.#early.delete(id);
    else this.#early.set(id, conn);
  }
}

function only(type: ConnectionEventType, conn: Connection): ConnectionEvent {
  return { type, connections: { [conn.id]: conn } };
}
