import type { NetworkServiceEndpoint } from "../api/gen/registry/registry.js";
import type { Distance } from "./locality.js";
import type { WeightedEndpoint } from "./match.js";

/** What decides between endpoints that all match. */
export interface Choice {
  /** 0 (inclusive) to 1 (exclusive). */
  readonly random: () => number;
  /** How many connections an endpoint has from here. */
  readonly load: (name: string) => number;
  /** Nearer is first. */
  readonly distance: Distance;
  /** The endpoint that was just left; it goes last. */
  readonly avoid?: string | undefined;
}

interface Ranked {
  readonly endpoint: NetworkServiceEndpoint;
  /** Compared one after the other, smaller first. */
  readonly rank: readonly number[];
}

/**
 * Nearest first; at one distance the least loaded for its weight, so that in the long run connections are shared out by weight;
 * between equals by chance, by weight: many nodes that know nothing of one another do not all take the same.
 */
export function order(candidates: readonly WeightedEndpoint[], choice: Choice): NetworkServiceEndpoint[] {
  const ranked = candidates.map(({ endpoint, weight }): Ranked => {
    const left = endpoint.name === choice.avoid ? 1 : 0;
    // An exponential draw with rate `weight`: the smallest of several is this one with probability weight / sum of weights.
    const draw = -Math.log(1 - choice.random()) / weight;
    return { endpoint, rank: [left, choice.distance(endpoint), choice.load(endpoint.name) / weight, draw] };
  });
  return ranked.sort((a, b) => compare(a.rank, b.rank)).map(({ endpoint }) => endpoint);
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (const [i, x] of a.entries()) {
    const difference = x - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
