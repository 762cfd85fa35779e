import type { Clock } from "../core/clock.js";
import { asMeshError } from "../core/error.js";
import type { Meter } from "../core/meter.js";
import type { Answering, Incoming } from "./transport.js";

export interface Timing {
  readonly meter: Meter;
  readonly clock: Clock;
}

/** The same methods; the meter hears of every call that is no stream how long it took, and how it ended. */
export function timed(methods: readonly Answering[], timing: Timing | undefined): Answering[] {
  if (timing === undefined) return [...methods];
  const { meter, clock } = timing;
  const took = meter.timer("isthmus_rpc_duration_seconds", "How long calls that were answered here took; streams are left out", [
    "method",
    "code",
  ]);
  return methods.map((method) => {
    if (method.kind !== "unary") return method;
    return {
      ...method,
      async answer(request: Uint8Array, incoming: Incoming) {
        const start = clock.monotonic();
        let code = "ok";
        try {
          return await method.answer(request, incoming);
        } catch (error) {
          code = asMeshError(error).code;
          throw error;
        } finally {
          took((clock.monotonic() - start) / 1000, { method: method.path, code });
        }
      },
    };
  });
}
