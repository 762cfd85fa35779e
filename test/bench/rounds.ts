import type { Running } from "../lib/command.js";
import { type Bar, type Result, result } from "./result.js";
import { median, rounded } from "./stats.js";

/** Where one stream runs: how to start a command at each end, and the server's address. */
export interface StreamEnds {
  readonly client: (command: string, ...args: string[]) => Promise<string>;
  readonly server: (command: string, ...args: string[]) => Running;
  readonly address: string;
}

const rounds = 7;
const seconds = 2;

/** Bits per second of one TCP stream. */
async function stream(ends: StreamEnds): Promise<number> {
  await using server = ends.server("iperf3", "--server", "--one-off", "--forceflush");
  await server.printed(/Server listening/);
  const report = await ends.client("iperf3", "--json", "--time", String(seconds), "--omit", "1", "--client", ends.address);
  await server.done;
  return (JSON.parse(report) as { end: { sum_received: { bits_per_second: number } } }).end.sum_received.bits_per_second;
}

/** Round trips per second of an echo that is sent as soon as the last one is back. */
async function echoes(ends: StreamEnds): Promise<number> {
  const count = 3000;
  const report = await ends.client("ping", "-n", "-q", "-f", "-c", String(count), ends.address);
  const [, received = "0", ms = "1"] = /(\d+) received.*time (\d+)ms/.exec(report) ?? [];
  return Number(received) / (Number(ms) / 1000);
}

/** Throughput of ours against hand-made. */
export function throughputRatio(name: string, ours: StreamEnds, handMade: StreamEnds, bar: Bar): Promise<Result> {
  return ratio(
    name,
    { ours, handMade, measure: stream, say: (speed) => `${rounded(speed / 1e9)} Gb/s, ${rounds} rounds of ${seconds} s` },
    bar,
  );
}

/** Round trips of ours against hand-made. */
export function roundTripRatio(name: string, ours: StreamEnds, handMade: StreamEnds, bar: Bar): Promise<Result> {
  return ratio(name, { ours, handMade, measure: echoes, say: (rate) => `${Math.round(rate)} a second, ${rounds} rounds` }, bar);
}

interface Sides {
  readonly ours: StreamEnds;
  readonly handMade: StreamEnds;
  readonly measure: (ends: StreamEnds) => Promise<number>;
  /** What our own figure is, for the note. */
  readonly say: (median: number) => string;
}

/** The sides alternating; the median of the rounds' ratios with its spread. */
async function ratio(name: string, { ours, handMade, measure, say }: Sides, bar: Bar): Promise<Result> {
  const ratios: number[] = [];
  const figures: number[] = [];
  for (let round = 0; round < rounds; round++) {
    // Who goes first changes, so that a machine that warms up favours nobody.
    const first = round % 2 === 0 ? ours : handMade;
    const one = await measure(first);
    const other = await measure(first === ours ? handMade : ours);
    const [mine, theirs] = first === ours ? [one, other] : [other, one];
    ratios.push(mine / theirs);
    figures.push(mine);
  }
  const spread = [rounded(Math.min(...ratios)), rounded(Math.max(...ratios))] as const;
  return result(name, rounded(median(ratios)), "ratio", bar, { spread, note: say(median(figures)) });
}
