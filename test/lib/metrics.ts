/** One value of one metric. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The values in Prometheus's text format, by name; of a histogram those of `NAME_count`, `NAME_sum` and `NAME_bucket`. */
export function metricsIn(text: string): ReadonlyMap<string, readonly Sample[]> {
  const metrics = new Map<string, Sample[]>();
  for (const [, name = "", labels = "", value] of text.matchAll(/^([a-z_]+)(?:\{(.*)\})? (\S+)$/gm)) {
    const pairs = [...labels.matchAll(/([a-z_]+)="([^"]*)"/g)].map(([, key = "", of = ""]) => [key, of]);
    metrics.set(name, [...(metrics.get(name) ?? []), { labels: Object.fromEntries(pairs), value: Number(value) }]);
  }
  return metrics;
}
