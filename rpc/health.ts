import { HealthCheckResponse_ServingStatus as Serving } from "../api/gen/grpc/health/v1/health.js";
import { MeshError } from "../core/error.js";
import { stream, unary } from "./bind.js";
import { healthMethods } from "./methods.js";
import { onAbort } from "./signals.js";
import type { Answering } from "./transport.js";

/** grpc.health.v1: what is offered is serving, by the service's full name, and "" for the program as a whole. */
export function health(offered: readonly Answering[]): Answering[] {
  const names = new Set(["", "grpc.health.v1.Health", ...offered.map((method) => method.path.split("/")[1] ?? "")]);
  return [
    unary(healthMethods.check, async ({ service }) => {
      if (names.has(service)) return { status: Serving.SERVING };
      throw new MeshError("not-found", `the service ${JSON.stringify(service)} is not offered here`);
    }),
    stream(healthMethods.watch, async function* ({ service }, { signal }) {
      yield { status: names.has(service) ? Serving.SERVING : Serving.SERVICE_UNKNOWN };
      await new Promise<void>((resolve) => void onAbort(signal, resolve));
    }),
  ];
}
