/** What an event was about. Never a key, a token or another secret. */
export type Fields = Readonly<Record<string, unknown>>;

/** Log lines are an event's name plus fields: `log.info("route added", { dst, table })`. */
export interface Log {
  /** Whether `debug` writes anything: what it is to say may cost something to find out. */
  readonly debugs: boolean;
  debug(event: string, fields?: Fields): void;
  info(event: string, fields?: Fields): void;
  warn(event: string, fields?: Fields): void;
  error(event: string, fields?: Fields): void;
  /** The same log with `fields` on every line. */
  child(fields: Fields): Log;
}

/** A log that keeps nothing. */
export const silent: Log = { debugs: false, debug() {}, info() {}, warn() {}, error() {}, child: () => silent };
