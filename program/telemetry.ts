import {
  type Context,
  createTraceState,
  DiagLogLevel,
  diag,
  type Tracer as OtelTracer,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
} from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-grpc";
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from "@opentelemetry/resources";
import { BasicTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";
import type { Clock } from "../core/clock.js";
import { asMeshError } from "../core/error.js";
import type { Log } from "../core/log.js";
import type { About, Span, Trace, Tracer } from "../core/trace.js";

/** How long a program that stops waits for the collector. */
const farewellMs = 2_000;

const kinds = { server: SpanKind.SERVER, client: SpanKind.CLIENT, internal: SpanKind.INTERNAL } as const;

/** A tracer that sends to a collector, in batches and beside the work. Disposing sends the last ones, for a moment. */
export interface OpenTracer extends AsyncDisposable {
  readonly tracer: Tracer;
}

/** Without `endpoint` OpenTelemetry's own variables say where to. Nothing of OpenTelemetry is made global, but its complaints. */
export function openTelemetry(parts: {
  readonly serviceName: string;
  readonly version: string;
  /** `http://HOST:PORT` or `https://…`. */
  readonly endpoint: string | undefined;
  readonly log: Log;
  readonly clock: Clock;
}): OpenTracer {
  complainTo(parts.log);
  const own = resourceFromAttributes({ "service.name": parts.serviceName, "service.version": parts.version });
  const resource = defaultResource()
    .merge(own)
    .merge(detectResources({ detectors: [envDetector] }));
  const exporter = new OTLPTraceExporter(parts.endpoint === undefined ? {} : { url: parts.endpoint });
  const provider = new BasicTracerProvider({ resource, spanProcessors: [new BatchSpanProcessor(exporter)] });
  const otel = provider.getTracer("isthmus", parts.version);
  return {
    tracer: { begin: (name, about, parent) => begin(otel, name, about, contextOf(parent)) },
    async [Symbol.asyncDispose]() {
      const patience = new AbortController();
      await Promise.race([
        provider.shutdown().catch((error: unknown) => parts.log.warn("last traces not sent", { reason: asMeshError(error).message })),
        parts.clock.sleep(farewellMs, patience.signal).catch(() => {}),
      ]);
      patience.abort();
    },
  };
}

/** What is wrong is said once, not with every batch. */
function complainTo(log: Log): void {
  let told = "";
  const complain = (message: string, ...more: unknown[]) => {
    const reason = [message, ...more].map(String).join(" ").slice(0, 500);
    if (reason !== told) log.warn("traces not sent", { reason });
    told = reason;
  };
  const quiet = () => {};
  diag.setLogger(
    { error: complain, warn: complain, info: quiet, debug: quiet, verbose: quiet },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
}

function begin(otel: OtelTracer, name: string, { kind, attributes = {} }: About, parent: Context): Span {
  const span = otel.startSpan(name, { kind: kinds[kind], attributes: { ...attributes } }, parent);
  const { traceId, spanId, traceFlags, traceState } = span.spanContext();
  const tracestate = traceState?.serialize();
  return {
    traceparent: `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, "0")}`,
    ...(tracestate && { tracestate }),
    begin: (part, about) => begin(otel, part, about, trace.setSpan(ROOT_CONTEXT, span)),
    end(failure) {
      if (failure !== undefined) {
        const { code, message } = asMeshError(failure);
        span.setStatus({ code: SpanStatusCode.ERROR, message });
        span.setAttribute("isthmus.code", code);
      }
      span.end();
    },
  };
}

/** What the caller said, as a parent; its form was checked at the edge. */
function contextOf(parent: Trace | undefined): Context {
  if (parent === undefined) return ROOT_CONTEXT;
  const [, traceId = "", spanId = "", flags = ""] = parent.traceparent.split("-");
  const traceState = parent.tracestate === undefined ? undefined : createTraceState(parent.tracestate);
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16),
    isRemote: true,
    ...(traceState && { traceState }),
  });
}
