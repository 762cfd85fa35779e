import type { ConnectionEvent, MonitorScopeSelector } from "../api/gen/connection/connection.js";
import type { Clock } from "./clock.js";

/** Hears of one connection what its next hop says. */
export interface Listener {
  hear(event: ConnectionEvent): void;
  /** There comes nothing more; with what it ended with. Not after it was disposed. */
  ended(error?: unknown): void;
}

/** A hop's segment in the path of one connection. */
export interface Own {
  readonly name: string;
  readonly id: string;
}

/** Begins to listen to the next hop at a url; nothing is heard before it returns, and nothing after it is disposed. */
export type Listen = (url: string, own: Own, listener: Listener) => Disposable;

/** Opens a monitor stream to a url. */
export type Watch = (url: string, selector: MonitorScopeSelector, signal: AbortSignal) => AsyncIterable<ConnectionEvent>;

/** Listens with a stream for each. Of an empty id it is all that a segment of that name has there. */
export function listenAlone(watch: Watch): Listen {
  return (url, { name, id }, listener) => {
    const selector = { pathSegments: [{ name, id, token: "", expires: undefined, metrics: {} }], networkServices: [] };
    return listenTo((life) => watch(url, selector, life), listener);
  };
}

/** Reads a stream for a listener. */
export function listenTo(open: (signal: AbortSignal) => AsyncIterable<ConnectionEvent>, listener: Listener): Disposable {
  const life = new AbortController();
  const { signal } = life;
  const read = async () => {
    for await (const event of open(signal)) if (!signal.aborted) listener.hear(event);
  };
  const ended = (error?: unknown) => {
    if (!signal.aborted) listener.ended(error);
  };
  void read().then(() => ended(), ended);
  return { [Symbol.dispose]: () => life.abort() };
}

const shortest = 200;
const longest = 2000;

/**
 * Listens until disposed: again 200 ms, 400 ms ... 2 s after it ended, from the beginning once something was heard. A program has one for
 * each of its connections, mostly at rest: so it is no loop over a stream, which would keep a dozen objects waiting.
 */
export class Listening implements Listener, Disposable {
  readonly #open: (listener: Listener) => Disposable;
  readonly #clock: Clock;
  readonly #listener: Listener;
  /** The stream, or the pause until the next. */
  #held: Disposable;
  #pause = shortest;

  constructor(clock: Clock, open: (listener: Listener) => Disposable, listener: Listener) {
    this.#clock = clock;
    this.#open = open;
    this.#listener = listener;
    this.#held = open(this);
  }

  hear(event: ConnectionEvent): void {
    this.#pause = shortest;
    this.#listener.hear(event);
  }

  ended(error?: unknown): void {
    const ms = this.#pause;
    this.#pause = Math.min(2 * ms, longest);
    this.#held = this.#clock.after(ms, () => {
      this.#held = this.#open(this);
    });
    this.#listener.ended(error);
  }

  [Symbol.dispose](): void {
    this.#held[Symbol.dispose]();
  }
}
