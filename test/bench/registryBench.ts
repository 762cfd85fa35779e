import { benchRegistry } from "./registry.js";
import { type Bench, result } from "./result.js";
import { rounded } from "./stats.js";

/** The one figure of the registry that has a bar. */
const bars: Readonly<Record<string, { readonly atMost: number }>> = { "registry-find-by-service-p99": { atMost: 5 } };

export const registry: readonly Bench[] = [
  {
    name: "registry",
    run: async () => (await benchRegistry()).map(({ name, value, unit }) => result(name, rounded(value), unit, bars[name])),
  },
];
