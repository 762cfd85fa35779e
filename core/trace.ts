export type Attributes = Readonly<Record<string, string | number>>;

/** What a span is of: a call that came in, a call that goes out, or something that is done here. */
export interface About {
  readonly kind: "server" | "client" | "internal";
  readonly attributes?: Attributes | undefined;
}

/** Where a call is in the trace of one request. The two texts are the W3C's Trace Context, version 00, as they cross the wire. */
export interface Trace {
  readonly traceparent: string;
  readonly tracestate?: string | undefined;
  /** Begins a part of it that takes time. Absent where this process only passes the trace on. */
  readonly begin?: ((name: string, about: About) => Span) | undefined;
}

/** A part of a trace that this process records. */
export interface Span extends Trace {
  /** Once; with the error that it failed with. */
  end(error?: unknown): void;
}

/** Records spans, and sends them to a collector. */
export interface Tracer {
  /** A new trace without `parent`. */
  begin(name: string, about: About, parent: Trace | undefined): Span;
}

/** Does `work` as a part of the trace, which it hands to it. Where nothing is recorded it costs nothing. */
export async function inPart<T>(
  trace: Trace | undefined,
  name: string,
  work: (trace: Trace | undefined) => Promise<T>,
  about: About = { kind: "internal" },
): Promise<T> {
  const span = trace?.begin?.(name, about);
  if (span === undefined) return await work(trace);
  try {
    const result = await work(span);
    span.end();
    return result;
  } catch (error) {
    span.end(error);
    throw error;
  }
}
