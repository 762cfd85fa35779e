/** Who wanted to do what on what, and why not (or what came of it). Never a token or another secret. */
export interface AuditEntry {
  /** A SPIFFE id, or in words. */
  readonly who: string;
  /** `request`, `register`, `close`… */
  readonly what: string;
  /** The service, the endpoint, the connection. */
  readonly on: string;
  /** One sentence. */
  readonly sentence: string;
}

/** The record of what was denied, and of changes of what is allowed. */
export interface Audit {
  /** Once for each error, however many pass it on. */
  denied(entry: AuditEntry, error?: unknown): void;
  changed(entry: AuditEntry): void;
}
