import { quantile } from "./stats.js";

/** One figure. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
}

export function quantiles(name: string, times: readonly number[]): Figure[] {
  return [
    { name: `${name}-p50`, value: quantile(times, 0.5), unit: "ms" },
    { name: `${name}-p99`, value: quantile(times, 0.99), unit: "ms" },
  ];
}
