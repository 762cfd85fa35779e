import type { Clock } from "../core/clock.js";
import type { Log } from "../core/log.js";
import { noMeter } from "../core/meter.js";
import type { Sinks } from "../core/observed.js";
import { type ConfigOf, setting } from "./config.js";
import { metricsAddress } from "./metricsAddress.js";
import { processMetrics } from "./processMetrics.js";
import { bool, collector, optionalHostPort } from "./values.js";

/** Where a program tells what it does, besides its log. */
export function sinkSettings(programName: string) {
  return {
    prometheusListenOn: setting(
      "NSM_PROMETHEUS_LISTEN_ON",
      "where /metrics is served, in plain text and to everybody who reaches it; off is nowhere",
      optionalHostPort,
      metricsAddress(programName) || "off",
    ),
    telemetry: setting("TELEMETRY", "whether requests are traced, with OpenTelemetry", bool, "false"),
    openTelemetryEndpoint: setting(
      "NSM_OPEN_TELEMETRY_ENDPOINT",
      "the collector that takes traces, OTLP over gRPC; OpenTelemetry's own variables, and then localhost:4317, unless given",
      collector,
      "",
    ),
  };
}

/** Open sinks. Disposing sends what is left to send. */
export interface OpenSinks extends AsyncDisposable {
  readonly sinks: Sinks;
}

type SinkConfig = ConfigOf<ReturnType<typeof sinkSettings>>;

interface SinkParts {
  /** What the program is called in traces. */
  readonly serviceName: string;
  readonly version: string;
  readonly log: Log;
  readonly clock: Clock;
}

export async function openSinks(config: SinkConfig, parts: SinkParts): Promise<OpenSinks> {
  const metrics = await openMetrics(config, parts);
  const traces = await openTraces(config, parts);
  return {
    sinks: { meter: metrics?.meter ?? noMeter, tracer: traces?.tracer },
    async [Symbol.asyncDispose]() {
      await metrics?.server[Symbol.asyncDispose]();
      await traces?.[Symbol.asyncDispose]();
    },
  };
}

// Each is loaded only where it is on: memory and start-up time stay as they are where it is not.

async function openMetrics({ prometheusListenOn: at }: SinkConfig, { log, clock }: SinkParts) {
  if (at === undefined) return undefined;
  const [{ PrometheusMeter }, { serveMetrics }] = await Promise.all([import("./meter.js"), import("./metricsServer.js")]);
  const meter = new PrometheusMeter();
  processMetrics(meter, clock);
  return { meter, server: await serveMetrics(meter, at, log) };
}

async function openTraces({ telemetry, openTelemetryEndpoint }: SinkConfig, parts: SinkParts) {
  if (!telemetry) return undefined;
  const { openTelemetry } = await import("./telemetry.js");
  return openTelemetry({ ...parts, endpoint: openTelemetryEndpoint || undefined });
}
