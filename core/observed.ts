import type { Call, Element } from "./chain.js";
import type { Clock } from "./clock.js";
import { asMeshError, type MeshError } from "./error.js";
import type { Log } from "./log.js";
import { type Meter, noMeter } from "./meter.js";
import { firstSegment, ownSegment } from "./path.js";
import type { Span, Tracer } from "./trace.js";

/** Where a program tells what it does, besides its log. */
export interface Sinks {
  readonly meter: Meter;
  /** Absent where traces are off. */
  readonly tracer?: Tracer | undefined;
}

/** Sinks that keep nothing. */
export const noSinks: Sinks = { meter: noMeter };

type Kind = "request" | "refresh" | "close";

const done = { request: "requested", refresh: "refreshed", close: "closed" } as const satisfies Record<Kind, string>;

/**
 * Tells of every request and close of a hop how it ended and how long it took: a metric, a line of the log, and a span with the
 * calls behind it as its children. Sits inside of updatePath, which knows whether a request is a refresh.
 */
export function observed(parts: {
  readonly sinks: Sinks;
  readonly hop: "client" | "nsmgr" | "forwarder" | "endpoint";
  readonly clock: Clock;
  readonly log: Log;
}): Element {
  const { sinks, hop, clock, log } = parts;
  const took = sinks.meter.timer(
    "isthmus_request_duration_seconds",
    "How long requests, refreshes and closes took at a hop, with all that lies behind it",
    ["hop", "kind", "code"],
  );
  const around = async <T>(kind: Kind, call: Call, rest: (call: Call) => Promise<T>): Promise<T> => {
    const start = clock.monotonic();
    const span = sinks.tracer?.begin(`${hop} ${kind}`, { kind: "server", attributes: attributesOf(call, hop) }, call.trace);
    const ended = (failure?: unknown) => {
      const ms = clock.monotonic() - start;
      const error = failure === undefined ? undefined : asMeshError(failure);
      took(ms / 1000, { hop, kind, code: error?.code ?? "ok" });
      span?.end(error);
      tell(log, kind, { ...fieldsOf(call, span), ms: Math.round(ms), ...(error && failureOf(error)) });
    };
    try {
      const result = await rest(span === undefined ? call : { ...call, trace: span });
      ended();
      return result;
    } catch (error) {
      ended(error);
      throw error;
    }
  };
  return {
    name: "observed",
    request: (call, next) => around(call.established ? "refresh" : "request", call, (onward) => next.request(onward)),
    close: (call, next) => around("close", call, (onward) => next.close(onward)),
  };
}

/** Our own mistakes come with their stack. */
function failureOf(error: MeshError) {
  return { code: error.code, reason: error.message, ...(error.code === "internal" && { error: error.cause ?? error }) };
}

/** A refresh that works is no news. */
function tell(log: Log, kind: Kind, fields: Readonly<Record<string, unknown>>): void {
  if ("code" in fields) log.info(`${kind} failed`, fields);
  else if (kind === "refresh") log.debug(done[kind], fields);
  else log.info(done[kind], fields);
}

/** `origin` is the id where the path starts, the one that nsmctl shows: looked for in all logs, it finds each hop's own id. */
function fieldsOf({ connection }: Call, span: Span | undefined) {
  return {
    connection: connection.id,
    origin: firstSegment(connection).id,
    service: connection.networkService,
    ...(span && { trace: span.traceparent.split("-")[1] }),
  };
}

function attributesOf({ connection }: Call, hop: string) {
  return {
    "isthmus.hop": hop,
    "isthmus.name": ownSegment(connection).name,
    "isthmus.connection": connection.id,
    "isthmus.origin": firstSegment(connection).id,
    "isthmus.index": connection.path?.index ?? 0,
    "isthmus.service": connection.networkService,
  };
}
