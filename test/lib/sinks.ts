import type { Labels, Meter } from "../../core/meter.js";
import type { About, Span, Trace, Tracer } from "../../core/trace.js";

/** A meter that keeps what it was told, as `name{a=b} seconds` and `name{a=b}`. */
export class KeptMeter implements Meter {
  readonly told: string[] = [];

  timer<L extends string>(name: string) {
    return (seconds: number, labels: Labels<L>) => void this.told.push(`${name}${text(labels)} ${seconds}`);
  }

  counter<L extends string>(name: string) {
    return (labels: Labels<L>) => void this.told.push(`${name}${text(labels)}`);
  }

  gauge(): void {}
  total(): void {}
}

function text(labels: Readonly<Record<string, string>>): string {
  return `{${Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(",")}}`;
}

export interface KeptSpan {
  readonly program: string;
  readonly name: string;
  readonly kind: About["kind"];
  readonly attributes: NonNullable<About["attributes"]>;
  readonly traceparent: string;
  /** The `traceparent` of the parent. */
  readonly parent: string | undefined;
  ended: boolean;
  error: unknown;
}

/** A tracer that keeps its spans, in the order in which they begin; several programs can share one list. */
export function keptTracer(program: string, spans: KeptSpan[]): Tracer {
  const begin = (name: string, { kind, attributes = {} }: About, parent: Trace | undefined): Span => {
    const number = (spans.length + 1).toString(16);
    const traceId = parent?.traceparent.split("-")[1] ?? number.padStart(32, "0");
    const traceparent = `00-${traceId}-${number.padStart(16, "0")}-01`;
    const kept: KeptSpan = { program, name, kind, attributes, traceparent, parent: parent?.traceparent, ended: false, error: undefined };
    spans.push(kept);
    return {
      traceparent,
      begin: (part, about) => begin(part, about, { traceparent }),
      end(error) {
        kept.ended = true;
        kept.error = error;
      },
    };
  };
  return { begin };
}
