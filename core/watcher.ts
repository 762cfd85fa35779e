import type {
  Connection,
  ConnectionEvent,
  ConnectionEventType,
  MonitorScopeSelector,
  PathSegment,
} from "../api/gen/connection/connection.js";
import type { Listener, Own } from "./listen.js";
import type { MultiMap } from "./multiMap.js";

/** One connection that changed, and how. */
export interface Change {
  readonly type: ConnectionEventType;
  readonly connection: Connection;
}

/** What one reader of a monitor has not read yet: at most one change per connection, in the order in which they first changed. */
export class Watcher {
  readonly selector: MonitorScopeSelector;
  readonly #waiting = new Map<string, Change>();
  readonly #concerns: (conn: Connection) => boolean;
  #wake: () => void = () => {};

  /** `concerns` says which connections its reader may see; all unless given. */
  constructor(selector: MonitorScopeSelector, concerns: (conn: Connection) => boolean = () => true) {
    this.selector = selector;
    this.#concerns = concerns;
  }

  wants(conn: Connection): boolean {
    return selects(this.selector, conn) && this.#concerns(conn);
  }

  offer(change: Change): void {
    if (!this.wants(change.connection)) return;
    this.#waiting.set(change.connection.id, change);
    this.wake();
  }

  take(): Change | undefined {
    for (const [id, change] of this.#waiting) {
      this.#waiting.delete(id);
      return change;
    }
    return undefined;
  }

  /** Resolves at the next `wake`. */
  something(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  wake(): void {
    this.#wake();
  }
}

/** One in this process who hears of a single connection: a turn later, and then its latest. */
export class Hearer implements Disposable {
  readonly #own: Own;
  readonly #listener: Listener;
  readonly #among: MultiMap<string, Watcher | Hearer>;
  #news: ConnectionEvent | undefined;
  #over = false;

  /** Is among those who hear of its id until it is disposed. */
  constructor(own: Own, listener: Listener, among: MultiMap<string, Watcher | Hearer>) {
    this.#own = own;
    this.#listener = listener;
    this.#among = among;
    among.add(own.id, this);
  }

  wants({ path }: Connection): boolean {
    return path?.pathSegments.some(({ name, id }) => name === this.#own.name && id === this.#own.id) ?? false;
  }

  offer({ type, connection }: Change): void {
    if (this.wants(connection)) this.say({ type, connections: { [connection.id]: connection } });
  }

  say(news: ConnectionEvent): void {
    if (this.#news === undefined) queueMicrotask(() => this.#tell());
    this.#news = news;
  }

  [Symbol.dispose](): void {
    this.#over = true;
    this.#among.delete(this.#own.id, this);
  }

  #tell(): void {
    const news = this.#news;
    this.#news = undefined;
    if (news !== undefined && !this.#over) this.#listener.hear(news);
  }
}

/** Whether a selector lets this connection through: any of its services, and its segments as a run of the path; "" matches anything. */
export function selects(selector: MonitorScopeSelector, conn: Connection): boolean {
  if (selector.networkServices.length > 0 && !selector.networkServices.includes(conn.networkService)) return false;
  const path = conn.path?.pathSegments ?? [];
  const run = selector.pathSegments;
  if (run.length === 0) return true;
  return path.some((_, start) => start + run.length <= path.length && run.every((wanted, i) => segmentMatches(wanted, path[start + i])));
}

function segmentMatches(wanted: PathSegment, found: PathSegment | undefined): boolean {
  if (found === undefined) return false;
  return matches(wanted.name, found.name) && matches(wanted.id, found.id) && matches(wanted.token, found.token);
}

function matches(wanted: string, found: string): boolean {
  return wanted === "" || wanted === found;
}

/** An id that every connection of this selector has in its path; undefined where it names none. */
export function pinnedId(selector: MonitorScopeSelector): string | undefined {
  return selector.pathSegments.find(({ id }) => id !== "")?.id;
}

/** The ids in a connection's path. */
export function pathIds(conn: Connection): string[] {
  return [...new Set((conn.path?.pathSegments ?? []).map(({ id }) => id))];
}
