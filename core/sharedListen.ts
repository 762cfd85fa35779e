import type { Connection, ConnectionEvent, ConnectionEventType } from "../api/gen/connection/connection.js";
import type { Clock } from "./clock.js";
import { asMeshError } from "./error.js";
import { type Listen, type Listener, listenAlone, type Watch } from "./listen.js";
import { RecentMap } from "./recentMap.js";
import { DELETE, INITIAL_STATE_TRANSFER } from "./states.js";

/** A stream is kept for so long after the last connection that followed it. */
const keptMs = 60_000;
/** A next hop publishes what it answers, so it is heard of by then; one that is not is asked about by itself. */
const graceMs = 1000;
/** A next hop may speak of more connections than we have there; one that is forgotten is asked about by itself. */
const mostEarly = 4096;

/**
 * One stream to each next hop, shared by all connections that a segment of ours has there, in place of one for each. Who listens hears
 * what its own stream would say: its connection's state first, then what changes; it ends as the stream ends.
 */
export function sharedListen(watch: Watch, clock: Clock): Listen {
  const streams = new Map<string, Stream>();
  const each = listenAlone(watch);
  return (url, own, listener) => {
    const { name, id } = own;
    if (name === "" || id === "") return each(url, own, listener);
    const key = `${url} ${name}`;
    const known = streams.get(key);
    if (known !== undefined) return known.enter(id, listener);
    const alone: Alone = (id, listener) => each(url, { name, id }, listener);
    const stream = new Stream({ name, clock, alone, ended: () => streams.delete(key) });
    streams.set(key, stream);
    return stream.enter(id, listener);
  };
}

/** Listens to what is said of one id alone; of "" it is all that a segment of ours has there. */
type Alone = (id: string, listener: Listener) => Disposable;

interface StreamParts {
  /** The segment's name whose connections it shows. */
  readonly name: string;
  readonly clock: Clock;
  readonly alone: Alone;
  readonly ended: () => void;
}

/** One who listens to a shared stream, until it is given its own. */
class Reader implements Disposable {
  readonly id: string;
  readonly #listener: Listener;
  readonly #stream: Stream;
  /** What is waited for until it is heard of, or its own stream. */
  #held: Disposable | undefined;
  #over = false;

  constructor(id: string, listener: Listener, stream: Stream, clock: Clock) {
    this.id = id;
    this.#listener = listener;
    this.#stream = stream;
    this.#held = clock.after(graceMs, () => this.alone());
  }

  hear(event: ConnectionEvent): void {
    if (this.#over) return;
    this.#forget();
    this.#listener.hear(event);
  }

  ended(error: unknown): void {
    this.#forget();
    this.#listener.ended(error);
  }

  alone(): void {
    this.#stream.leave(this);
    this.#forget();
    this.#held = this.#stream.alone(this.id, this.#listener);
  }

  #forget(): void {
    this.#held?.[Symbol.dispose]();
    this.#held = undefined;
  }

  [Symbol.dispose](): void {
    this.#over = true;
    this.#stream.leave(this);
    this.#forget();
  }
}

class Stream implements Listener {
  readonly #parts: StreamParts;
  readonly #readers = new Map<string, Reader>();
  /** What was heard last of connections that nobody listens for, mostly because their answer is still on its way. */
  readonly #early = new RecentMap<string, Connection>(mostEarly);
  readonly #life: Disposable;
  #listed = false;
  #idle: Disposable | undefined;

  constructor(parts: StreamParts) {
    this.#parts = parts;
    this.#life = parts.alone("", this);
  }

  alone(id: string, listener: Listener): Disposable {
    return this.#parts.alone(id, listener);
  }

  enter(id: string, listener: Listener): Disposable {
    if (this.#readers.has(id)) return this.alone(id, listener);
    const reader = new Reader(id, listener, this, this.#parts.clock);
    this.#readers.set(id, reader);
    this.#idle?.[Symbol.dispose]();
    this.#idle = undefined;
    const early = this.#early.get(id);
    this.#early.delete(id);
    if (early !== undefined) queueMicrotask(() => reader.hear(only(INITIAL_STATE_TRANSFER, early)));
    return reader;
  }

  leave(reader: Reader): void {
    if (this.#readers.get(reader.id) !== reader) return;
    this.#readers.delete(reader.id);
    if (this.#readers.size > 0) return;
    this.#idle = this.#parts.clock.after(keptMs, () => {
      this.#life[Symbol.dispose]();
      this.#parts.ended();
    });
  }

  hear({ type, connections }: ConnectionEvent): void {
    const unheard = new Set(type === INITIAL_STATE_TRANSFER ? this.#readers.keys() : []);
    if (type === INITIAL_STATE_TRANSFER) {
      this.#listed = true;
      this.#early.clear();
    }
    for (const conn of Object.values(connections)) {
      for (const { name, id } of conn.path?.pathSegments ?? []) {
        if (name !== this.#parts.name) continue;
        unheard.delete(id);
        this.#tell(id, type, conn);
      }
    }
    for (const id of unheard) this.#readers.get(id)?.hear({ type, connections: {} });
  }

  /** Where it answered, and not with a list, that may be too long for one message, where each reader's own is not. */
  ended(error?: unknown): void {
    this.#parts.ended();
    this.#idle?.[Symbol.dispose]();
    const couldNotList = error !== undefined && !this.#listed && asMeshError(error).code !== "unreachable";
    const readers = [...this.#readers.values()];
    this.#readers.clear();
    for (const reader of readers) {
      if (couldNotList) reader.alone();
      else reader.ended(error);
    }
  }

  #tell(id: string, type: ConnectionEventType, conn: Connection): void {
    const reader = this.#readers.get(id);
    if (reader !== undefined) reader.hear(only(type, conn));
    else if (type === DELETE) this.#early.delete(id);
    else this.#early.set(id, conn);
  }
}

function only(type: ConnectionEventType, conn: Connection): ConnectionEvent {
  return { type, connections: { [conn.id]: conn } };
}
