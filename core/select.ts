import type { NetworkServiceEndpoint } from "../api/gen/registry/registry.js";
import type { WeightedEndpoint } from "./match.js";

/** What decides between endpoints that all match. */
export interface Choice {
  /** 0 (inclusive) to 1 (exclusive). */
  readonly random: () => number;
  /** How many connections an endpoint has from here. */
  readonly load: (name: string) => number;
  /** How far away it is: 0 the same node, 1 the same site, 2 elsewhere. Nearer is first. */
  readonly locality: (endpoint: NetworkServiceEndpoint) => number;
  /** The endpoint that was just left; it goes last. */
  readonly avoid?: string | undefined;
}

/** Nearest first; at one distance the least loaded for its weight; between equals by chance, by weight. */
export function order(_candidates: readonly WeightedEndpoint[], _choice: Choice): NetworkServiceEndpoint[] {
  throw new Error("soon");
}
