import { status } from "@grpc/grpc-js";
import { asMeshError, type ErrorCode, MeshError } from "../core/error.js";
import type { Headers } from "./transport.js";

/** An error as gRPC carries it: a status, a sentence, and trailing metadata with what only our programs understand. */
export interface WireError {
  readonly code: number;
  readonly details: string;
  readonly trailers: Headers;
}

const toStatus: Readonly<Record<ErrorCode, status>> = {
  invalid: status.INVALID_ARGUMENT,
  "not-found": status.NOT_FOUND,
  exists: status.ALREADY_EXISTS,
  "no-endpoint": status.NOT_FOUND,
  "no-forwarder": status.UNAVAILABLE,
  "no-mechanism": status.FAILED_PRECONDITION,
  exhausted: status.RESOURCE_EXHAUSTED,
  "netns-gone": status.FAILED_PRECONDITION,
  unreachable: status.UNAVAILABLE,
  expired: status.UNAVAILABLE,
  timeout: status.DEADLINE_EXCEEDED,
  cancelled: status.CANCELLED,
  denied: status.PERMISSION_DENIED,
  kernel: status.INTERNAL,
  unsupported: status.UNIMPLEMENTED,
  conflict: status.ABORTED,
  moved: status.FAILED_PRECONDITION,
  internal: status.INTERNAL,
};

/** What a peer that is not one of our programs means; the codes that need words of their own are in foreign(). */
const fromStatus: Readonly<Partial<Record<status, ErrorCode>>> = {
  [status.INVALID_ARGUMENT]: "invalid",
  [status.NOT_FOUND]: "not-found",
  [status.ALREADY_EXISTS]: "exists",
  [status.PERMISSION_DENIED]: "denied",
  [status.RESOURCE_EXHAUSTED]: "exhausted",
  [status.FAILED_PRECONDITION]: "conflict",
  [status.ABORTED]: "conflict",
  [status.OUT_OF_RANGE]: "invalid",
  [status.UNAUTHENTICATED]: "denied",
};

const longest = 2000;

/** What a server answers for an error; one that does not say where it happened happened here. */
export function toWire(error: unknown, hop: string): WireError {
  const failure = asMeshError(error);
  return {
    code: toStatus[failure.code],
    details: wellFormed(failure.message),
    trailers: { "isthmus-code": failure.code, "isthmus-hop": encodeURIComponent(wellFormed(failure.hop ?? hop)) },
  };
}

/** What a peer answered, as an error of ours. `peer` is its URL. */
export function fromWire(error: WireError, peer: string): MeshError {
  const code = error.trailers["isthmus-code"];
  if (code !== undefined && isCode(code)) return new MeshError(code, error.details, { hop: hopOf(error.trailers) });
  return foreign(error, peer);
}

function foreign({ code, details }: WireError, peer: string): MeshError {
  if (code === status.UNAVAILABLE) return new MeshError("unreachable", `nothing answers at ${peer}: ${core(details)}; is it running?`);
  // Our own cancel never comes this way.
  if (code === status.CANCELLED) return new MeshError("unreachable", `${peer} broke the call off: ${details}`);
  if (code === status.DEADLINE_EXCEEDED) return new MeshError("timeout", `${peer} did not answer in time`);
  if (code === status.UNIMPLEMENTED) return new MeshError("unsupported", `${peer} does not offer this: ${details}`);
  // gRPC itself refuses a large message with the code that also means "used up".
  if (code === status.RESOURCE_EXHAUSTED && /larger than/i.test(details))
    return new MeshError("invalid", `the message is too large for ${peer}: ${details}`);
  return new MeshError(fromStatus[code as status] ?? "internal", `${peer} answered: ${details}`);
}

/** grpc-js wraps the system's sentence in two of its own. */
function core(details: string): string {
  return /Last error: (?:Error: )?(.*?)\. Resolution note/.exec(details)?.[1] ?? details;
}

function isCode(text: string): text is ErrorCode {
  return Object.hasOwn(toStatus, text);
}

function hopOf(trailers: Headers): string | undefined {
  try {
    return decodeURIComponent(trailers["isthmus-hop"] ?? "") || undefined;
  } catch {
    return undefined;
  }
}

/** Short enough for a header, and without the half characters that cannot be encoded. */
function wellFormed(text: string): string {
  return (text.length > longest ? `${text.slice(0, longest)}…` : text).replace(/\p{Surrogate}/gu, "\ufffd");
}
