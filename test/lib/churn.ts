import type { Crowd } from "./crowd.js";
import type { Random } from "./random.js";

/** How long each join and each leave took, in milliseconds. */
export interface Churned {
  readonly joins: readonly number[];
  readonly leaves: readonly number[];
}

/** For so long, pods of a crowd that are drawn by lot join where they are outside, and leave where they are members; `atOnce` at a time. */
export async function churn(
  crowd: Crowd,
  { random, forMs, atOnce }: { readonly random: Random; readonly forMs: number; readonly atOnce: number },
): Promise<Churned> {
  const joins: number[] = [];
  const leaves: number[] = [];
  const end = performance.now() + forMs;
  // Each has its own pods, so that nobody joins what another lets leave.
  const worker = async (pods: readonly string[]) => {
    while (performance.now() < end) {
      const pod = pods[Math.floor(random() * pods.length)] ?? "";
      const inside = crowd.has(pod);
      const began = performance.now();
      await (inside ? crowd.leave(pod) : crowd.join(pod));
      (inside ? leaves : joins).push(performance.now() - began);
    }
  };
  const shares = Array.from({ length: atOnce }, (_, at) => crowd.pods.filter((_pod, index) => index % atOnce === at));
  await Promise.all(shares.map(worker));
  return { joins, leaves };
}
