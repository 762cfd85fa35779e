import { type Churned, churn } from "../lib/churn.js";
import { Crowd } from "../lib/crowd.js";
import { Lab } from "../lib/lab.js";
import { leftoversOf } from "../lib/leftovers.js";
import { randomOf, seedOf } from "../lib/random.js";
import { Cleanup } from "./cleanup.js";
import { cpuUsed, memoryUsed, type Program, programsOf, type Used } from "./programs.js";
import { type Bench, type BenchOptions, type Result, result } from "./result.js";
import { quantile, rounded } from "./stats.js";

const prefix = "te-bench";
const segment = "crowd";
const nodes = ["paris-1", "tokyo-1"] as const;
const members = 1_000;
/** Pods of each node beside those, whose joins are timed. */
const spare = 10;
const settleMs = 5_000;

type Layer = "l2" | "l3";

/** Two sites with a node each, a segment of both, and on each node half of the pods. */
interface World {
  readonly lab: Lab;
  readonly crowds: readonly Crowd[];
  readonly programs: readonly Program[];
}

async function inWorld(layer: Layer, use: (world: World) => Promise<Result[]>): Promise<Result[]> {
  await using cleanup = new Cleanup();
  const lab = await Lab.up(prefix, { sites: "paris=1,tokyo=1" });
  const crowds: Crowd[] = [];
  // The programs end first: they would be busy with pods that vanish.
  cleanup.defer(async () => {
    await lab[Symbol.asyncDispose]();
    for (const crowd of crowds) await crowd[Symbol.asyncDispose]();
  });
  await lab.ctl("create", "segment", segment, "--layer", layer, "--prefix", "10.64.0.0/16,fd64::/48", "--sites", "paris,tokyo");
  for (const node of nodes) crowds.push(await Crowd.raise(lab, { node, segment, count: members / nodes.length + spare }));
  return await use({ lab, crowds, programs: await programsOf(lab) });
}

/** What a join costs when few or many are members, and what these cost when nothing happens. */
const growth = (layer: Layer): Promise<Result[]> =>
  inWorld(layer, async ({ crowds, programs }) => {
    const results: Result[] = [];
    // The first ones make the tunnel, warm the compilers and fill the caches.
    await Promise.all(crowds.map((crowd) => churn(crowd, { random: Math.random, forMs: 5_000, atOnce: 1 })));
    await Promise.all(crowds.map((crowd) => crowd.empty()));
    for (const count of [10, 100, members]) {
      const began = performance.now();
      const before = inside(crowds);
      await fill(crowds, count);
      const seconds = (performance.now() - began) / 1000;
      results.push(
        result(`segment-${layer}-fill-${count}`, rounded((count - before) / seconds), "1/s", undefined, {
          note: "8 at a time on each node",
        }),
      );
      await settled();
      const times = await timedJoins(crowds);
      results.push(result(`segment-${layer}-join-${count}-p50`, rounded(quantile(times, 0.5)), "ms"));
      results.push(
        result(`segment-${layer}-join-${count}-p99`, rounded(quantile(times, 0.99)), "ms", undefined, { note: `${times.length} joins` }),
      );
    }
    await settled();
    return [...results, ...(await idle(layer, programs, 30)), ...memoryResults(`${layer}-full`, memoryUsed(programs))];
  });

/** One after another, on the nodes in turn; whoever joined leaves before the next. */
async function timedJoins(crowds: readonly Crowd[]): Promise<number[]> {
  const times: number[] = [];
  for (let turn = 0; turn < 200; turn++) {
    const crowd = crowds[turn % crowds.length] as Crowd;
    const pod = crowd.pods[crowd.pods.length - 1 - (Math.floor(turn / crowds.length) % spare)] ?? "";
    const began = performance.now();
    await crowd.join(pod);
    times.push(performance.now() - began);
    await crowd.leave(pod);
  }
  return times;
}

async function idle(layer: Layer, programs: readonly Program[], seconds: number): Promise<Result[]> {
  const before = cpuUsed(programs);
  await pause(seconds * 1000);
  const after = cpuUsed(programs);
  return kinds(after).map((kind) =>
    result(`segment-${layer}-idle-cpu-${kind}`, rounded((after[kind] - before[kind]) / seconds / 10), "%", undefined, {
      note: `of one core, on both nodes together, ${members} members, ${seconds} s`,
    }),
  );
}

/** Members come and go by lot. Memory is looked at with all of them in, at the start, halfway and at the end. */
const minutes = ({ seconds = 300 }: BenchOptions): Promise<Result[]> =>
  inWorld("l3", async ({ lab, crowds, programs }) => {
    const seed = seedOf(process.env.ISTHMUS_TEST_SEED);
    const looks: Used[] = [];
    const look = async (): Promise<void> => {
      await fill(crowds, members);
      await settled();
      looks.push(memoryUsed(programs));
    };
    const done: Churned[] = [];
    await look();
    for (const half of [0, 1]) {
      const turns = crowds.map((crowd, at) =>
        churn(crowd, { random: randomOf(seed + 2 * half + at), forMs: (seconds * 1000) / 2, atOnce: 4 }),
      );
      done.push(...(await Promise.all(turns)));
      await look();
    }
    await Promise.all(crowds.map((crowd) => crowd.empty()));
    await settled();
    const left = await leftoversOf(lab, crowds);
    for (const line of left.slice(0, 20)) console.error(`bench: left over: ${line}`);
    const [start, half, end] = looks as [Used, Used, Used];
    return [
      ...rates(done, seconds, seed),
      ...memoryResults("churn-start", start),
      ...memoryResults("churn-half", half),
      ...memoryResults("churn-end", end),
      ...memoryResults("churn-empty", memoryUsed(programs)),
      ...kinds(end).map((kind) =>
        result(`segment-churn-memory-end-against-half-${kind}`, rounded(end[kind] / half[kind]), "ratio", { atMost: 1.1 }),
      ),
      result("segment-churn-left-over", left.length, "things", { atMost: 0 }),
    ];
  });

function rates(done: readonly Churned[], seconds: number, seed: number): Result[] {
  const [joins, leaves] = [done.flatMap((one) => one.joins), done.flatMap((one) => one.leaves)];
  const note = `ISTHMUS_TEST_SEED=${seed}`;
  return [
    result("segment-churn-joins-per-second", rounded(joins.length / seconds), "1/s", undefined, { note }),
    result("segment-churn-leaves-per-second", rounded(leaves.length / seconds), "1/s"),
    result("segment-churn-join-p50", rounded(quantile(joins, 0.5)), "ms", undefined, { note: "4 at a time on each node" }),
    result("segment-churn-join-p99", rounded(quantile(joins, 0.99)), "ms"),
    result("segment-churn-leave-p99", rounded(quantile(leaves, 0.99)), "ms"),
  ];
}

function memoryResults(when: string, used: Used): Result[] {
  return kinds(used).map((kind) => result(`segment-memory-${when}-${kind}`, rounded(used[kind]), "MB", undefined, { note: "both nodes" }));
}

function kinds(used: Used): (keyof Used)[] {
  return Object.keys(used) as (keyof Used)[];
}

function inside(crowds: readonly Crowd[]): number {
  return crowds.reduce((sum, crowd) => sum + crowd.members.length, 0);
}

async function fill(crowds: readonly Crowd[], count: number): Promise<void> {
  await Promise.all(crowds.map((crowd) => crowd.fill(count / crowds.length)));
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
/** Time for what goes on behind a join or a leave. */
const settled = (): Promise<void> => pause(settleMs);

export const segmentChurn: readonly Bench[] = [
  ...(["l3", "l2"] as const).map((layer) => ({ name: `segment-churn-growth-${layer}`, run: () => growth(layer) })),
  { name: "segment-churn-minutes", run: minutes },
];
