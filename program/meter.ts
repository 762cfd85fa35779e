import { Counter, Gauge, Histogram, type Metric, Registry } from "prom-client";
import type { Labels, Look, Meter } from "../core/meter.js";

/** From 1 ms, what a request within a node takes, to 15 s, after which callers give up. */
const buckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15];

/** Prometheus's metrics. What can be looked up is looked up when somebody asks, so that it costs nothing until then. */
export class PrometheusMeter implements Meter {
  readonly #registry = new Registry();
  readonly #looks = new Map<string, Look<string>[]>();

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** All metrics in Prometheus's text format. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  timer<L extends string>(name: string, help: string, labels: readonly L[]) {
    const histogram =
      this.#known<Histogram>(name) ?? new Histogram({ name, help, labelNames: labels, buckets, registers: [this.#registry] });
    return (seconds: number, values: Labels<L>) => histogram.observe(values, seconds);
  }

  counter<L extends string>(name: string, help: string, labels: readonly L[]) {
    const counter = this.#known<Counter>(name) ?? new Counter({ name, help, labelNames: labels, registers: [this.#registry] });
    return (values: Labels<L>) => counter.inc(values);
  }

  gauge<L extends string>(name: string, help: string, labels: readonly L[], look: Look<L>): void {
    this.#look(name, look, (collect) => new Gauge({ name, help, labelNames: labels, registers: [this.#registry], collect }));
  }

  total<L extends string>(name: string, help: string, labels: readonly L[], look: Look<L>): void {
    this.#look(name, look, (collect) => new Counter({ name, help, labelNames: labels, registers: [this.#registry], collect }));
  }

  #known<M extends Metric>(name: string): M | undefined {
    return this.#registry.getSingleMetric(name) as M | undefined;
  }

  #look<L extends string>(name: string, look: Look<L>, make: (collect: () => Promise<void>) => Gauge | Counter): void {
    const looks = this.#looks.get(name);
    if (looks !== undefined) return void looks.push(look);
    const all: Look<string>[] = [look];
    this.#looks.set(name, all);
    const metric: Gauge | Counter = make(async () => {
      const samples = await Promise.all(all.map((one) => one()));
      metric.reset();
      for (const found of samples) for (const [labels, value] of found) metric.inc(labels, value);
    });
  }
}
