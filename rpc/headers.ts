import type { Token } from "../core/chain.js";
import { MeshError } from "../core/error.js";
import type { Trace } from "../core/trace.js";
import { checkName, checkText } from "./check.js";
import { limits } from "./limits.js";
import type { RegistryPath } from "./registry.js";
import type { Headers } from "./transport.js";

const tokenKey = "nsm-client-token";
const expiresKey = "nsm-client-token-expires";
const pathKey = "path";
const segmentKey = "isthmus-segment";
const holderKey = "isthmus-holder";
const atKey = "isthmus-at";

/** The caller's token as NSM sends it: in metadata of every call (contract 1.3). */
export function tokenHeaders(token: Token): Headers {
  return { [tokenKey]: token.token, [expiresKey]: new Date(token.expires).toISOString() };
}

/** Undefined where the caller presented none. */
export function callerOf(headers: Headers): Token | undefined {
  const token = headers[tokenKey];
  if (token === undefined) return undefined;
  if (token.length > limits.token)
    throw new MeshError("invalid", `metadata ${tokenKey} is ${token.length} characters long; at most ${limits.token} are allowed`);
  if (/[\s,]/.test(token)) throw new MeshError("invalid", `metadata ${tokenKey} must hold one token, and be there once`);
  const text = headers[expiresKey] ?? "";
  const rfc3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/.test(text);
  const expires = rfc3339 ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(expires))
    throw new MeshError(
      "invalid",
      `metadata ${expiresKey} must be a time such as 2030-01-31T12:00:00Z, got ${JSON.stringify(text.slice(0, 64))}`,
    );
  return { token, expires };
}

export function pathHeaders(path: RegistryPath | undefined): Headers {
  if (path === undefined) return {};
  return { [pathKey]: ascii(JSON.stringify({ Index: path.index, PathSegments: path.tokens.map((token) => ({ token })) })) };
}

/** Undefined where there is none; NSM warns about that and goes on. */
export function pathOf(headers: Headers): RegistryPath | undefined {
  const text = headers[pathKey];
  if (text === undefined) return undefined;
  const parsed = parse(text);
  const segments: unknown[] = Array.isArray(parsed.PathSegments) ? parsed.PathSegments : [];
  const index = parsed.Index ?? 0;
  if (
    segments.length > limits.pathSegments ||
    !Number.isInteger(index) ||
    Number(index) < 0 ||
    Number(index) > Math.max(0, segments.length - 1)
  )
    throw new MeshError(
      "invalid",
      `metadata ${pathKey} has index ${String(index)} and ${segments.length} segments; at most ${limits.pathSegments} are allowed, and the index must be one of them`,
    );
  return { index: Number(index), tokens: segments.map(tokenIn) };
}

/** W3C Trace Context, as OpenTelemetry's gRPC instrumentation sends it, NSM's programs too. */
export function traceHeaders(trace: Trace | undefined): Headers {
  if (trace === undefined) return {};
  return { traceparent: trace.traceparent, ...(trace.tracestate !== undefined && { tracestate: trace.tracestate }) };
}

/** A trace is no reason to refuse a call: one that is not understood counts as none, as the standard has it. */
export function traceOf({ traceparent, tracestate }: Headers): Trace | undefined {
  const [, traceId = "", spanId = ""] = /^00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$/.exec(traceparent ?? "") ?? [];
  if (traceparent === undefined || !/[1-9a-f]/.test(traceId) || !/[1-9a-f]/.test(spanId)) return undefined;
  return { traceparent, ...(tracestate !== undefined && tracestate.length <= limits.traceState && { tracestate }) };
}

interface OfSegment {
  readonly segment: string;
  readonly holder?: string | undefined;
  readonly at?: number | undefined;
}

/** Which segment a call is about whose messages do not say it; for whom it is made where that is not the caller, and as which in turn. */
export function segmentHeaders({ segment, holder, at }: OfSegment): Headers {
  return { [segmentKey]: segment, ...(holder !== undefined && { [holderKey]: holder }), ...(at !== undefined && { [atKey]: String(at) }) };
}

/** Throws "invalid" where the call names no segment, as those of NSM's vl3 endpoints do: which one they mean, nothing in them says. */
export function segmentOf(headers: Headers): OfSegment {
  const { [segmentKey]: segment, [holderKey]: holder, [atKey]: at } = headers;
  if (segment === undefined || segment === "")
    throw new MeshError(
      "invalid",
      `address blocks are of a segment, and this call names none: name it in the metadata ${segmentKey} (nsmctl get segments lists them); an endpoint of NSM's vl3 gets its prefix from NSM's own vl3-ipam, see its NSM_PREFIX_SERVER_URL`,
    );
  checkName(`metadata ${segmentKey}`, segment);
  if (holder !== undefined) checkText(`metadata ${holderKey}`, holder, limits.url);
  if (at !== undefined && !/^\d{1,15}$/.test(at))
    throw new MeshError("invalid", `metadata ${atKey} must be a number of at most 15 digits, got ${JSON.stringify(at.slice(0, 64))}`);
  return { segment, holder, at: at === undefined ? undefined : Number(at) };
}

function parse(text: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new MeshError("invalid", `metadata ${pathKey} is no JSON`, { cause: error });
  }
  return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}

function tokenIn(segment: unknown): string {
  const token = typeof segment === "object" && segment !== null && "token" in segment ? segment.token : "";
  if (typeof token !== "string" || token.length > limits.token)
    throw new MeshError("invalid", `a token in metadata ${pathKey} must be a text of at most ${limits.token} characters`);
  return token;
}

/** Header values are ASCII; JSON can say everything else in it. */
function ascii(json: string): string {
  return json.replace(/[\u007f-\uffff]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
