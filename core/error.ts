/** Why something failed; tests and callers compare these, people read the message. */
export type ErrorCode =
  | "invalid" // the input is wrong: change it
  | "not-found" // what was named is not there
  | "exists" // what was to be made is there already
  | "no-endpoint" // nobody serves it, or no endpoint has the labels
  | "no-forwarder" // this node has none that can do it
  | "no-mechanism" // the two sides share no mechanism
  | "exhausted" // an address range is used up, or a store is full
  | "netns-gone" // the pod's network namespace is not there any more
  | "unreachable" // a program or host did not answer
  | "expired" // a certificate of the connection has ended: ask again, over another one
  | "timeout" // it took longer than the caller waits
  | "cancelled" // the caller went away
  | "denied" // not allowed
  | "kernel" // the kernel refused
  | "unsupported" // this machine or peer cannot do it
  | "conflict" // somebody else changed it first
  | "moved" // what a connection had belongs to another one now, wherever that is
  | "internal"; // our mistake

const retryable: ReadonlySet<ErrorCode> = new Set([
  "unreachable",
  "expired",
  "timeout",
  "no-endpoint",
  "no-forwarder",
  "exhausted",
  "conflict",
]);

/** The one error family: a code, one sentence (what, where, what to do), the hop it happened at, and a cause. */
export class MeshError extends Error {
  readonly code: ErrorCode;
  /** The NSM_NAME of the program that failed; filled by the first server that sees the error without one. */
  readonly hop: string | undefined;

  constructor(code: ErrorCode, message: string, options: { readonly cause?: unknown; readonly hop?: string | undefined } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "MeshError";
    this.code = code;
    this.hop = options.hop;
  }

  /** Whether the same request can succeed later without being changed. */
  get retryable(): boolean {
    return retryable.has(this.code);
  }
}

/** Any thrown thing as one of ours. An abort becomes "cancelled", or "timeout" where the signal timed out. */
export function asMeshError(error: unknown, fallback: ErrorCode = "internal"): MeshError {
  if (error instanceof MeshError) return error;
  // What failed first says more than what failed while it was cleaned up.
  if (error instanceof Error && error.name === "SuppressedError" && "suppressed" in error) return asMeshError(error.suppressed, fallback);
  if (error instanceof Error && error.name === "AbortError") return new MeshError("cancelled", "the caller went away", { cause: error });
  if (error instanceof Error && error.name === "TimeoutError")
    return new MeshError("timeout", "the time for this request is over", { cause: error });
  return new MeshError(fallback, error instanceof Error ? error.message : String(error), { cause: error });
}

/** Whether a connection cannot come back, however often it is asked for. */
export function isOver(error: unknown): boolean {
  const { code } = asMeshError(error);
  return code === "netns-gone" || code === "moved";
}

/** Whether somebody could not be asked, as against: was asked and said no. */
export function isAway(error: unknown): boolean {
  const { code } = asMeshError(error);
  return code === "unreachable" || code === "timeout";
}
