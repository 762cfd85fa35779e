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

/** Ours against hand-made, the sides alternating; the median of the rounds' ratios with its spread. */
export async function throughputRatio(name: string, ours: StreamEnds, handMade: StreamEnds, bar: Bar): Promise<Result> {
  const ratios: number[] = [];
  const speeds: number[] = [];
  for (let round = 0; round < rounds; round++) {
    // Who goes first changes, so that a machine that warms up favours nobody.
    const first = round % 2 === 0 ? ours : handMade;
    const one = await stream(first);
    const other = await stream(first === ours ? handMade : ours);
    const [mine, theirs] = first === ours ? [one, other] : [other, one];
    ratios.push(mine / theirs);
    speeds.push(mine);
  }
  const spread = [rounded(Math.min(...ratios)), rounded(Math.max(...ratios))] as const;
  const note = `${rounded(median(speeds) / 1e9)} Gb/s, ${rounds} rounds of ${seconds} s`;
  return result(name, rounded(median(ratios)), "ratio", bar, { spread, note });
}
