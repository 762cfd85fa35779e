/** What an event was about. Never a key, a token or another secret. */
export type Fields = Readonly<Record<string, unknown>>;

/** Log lines are an event's name plus fields: `log.info("route added", { dst, table })`. */
export interface Log {
  debug(event: string, fields?: Fields): void;
  info(event: string, fields?: Fields): void;
  warn(event: string, fields?: Fields): void;
  error(event: string, fields?: Fields): void;
  /** The same log with `fields` on every line. */
  child(fields: Fields): Log;
}

/** A log that keeps nothing. */
export const silent: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent };
