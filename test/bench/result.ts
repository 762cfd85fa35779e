/** What must hold: at least or at most so much. */
export type Bar = { readonly atLeast: number } | { readonly atMost: number };

/** One figure of the report. Without a bar it is only told. */
export interface Result {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly bar: string;
  readonly ok: boolean;
  /** Lowest and highest round, where there were rounds. */
  readonly spread?: readonly [number, number];
  readonly note?: string;
}

/** What a measurement may be told. */
export interface BenchOptions {
  /** How long it goes on, where it is one that could go on for ever. */
  readonly seconds?: number;
}

/** A named measurement; `run` may give several results. */
export interface Bench {
  readonly name: string;
  run(options: BenchOptions): Promise<Result[]>;
}

/** Holds a value against its bar. */
export function result(
  name: string,
  value: number,
  unit: string,
  bar?: Bar,
  more: { spread?: readonly [number, number]; note?: string } = {},
): Result {
  // A comparison with something that did not work at all is no figure.
  const ok = Number.isFinite(value) && (bar === undefined || ("atLeast" in bar ? value >= bar.atLeast : value <= bar.atMost));
  const said = bar === undefined ? "" : "atLeast" in bar ? `>= ${bar.atLeast}` : `<= ${bar.atMost}`;
  return { name, value, unit, bar: said, ok, ...more };
}
