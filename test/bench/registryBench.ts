import { benchRegistry, howAsked } from "./registry.js";
import type { Figure } from "./registryFigures.js";
import { etcd, lmdb } from "./registryStores.js";
import { type Bench, type Result, result } from "./result.js";
import { rounded } from "./stats.js";

/** What is said of a figure; one of them has a bar. */
function told(one: Figure, name: string): Result {
  if (one.name !== `${name}-find-by-service-p99`) return result(one.name, rounded(one.value), one.unit);
  return result(one.name, rounded(one.value), one.unit, { atMost: 5 }, { note: howAsked });
}

/** The same registry on either store. */
export const registry: readonly Bench[] = Object.entries({ registry: lmdb, "registry-etcd": etcd }).map(([name, create]) => ({
  name,
  run: async () => (await benchRegistry(name, create)).map((one) => told(one, name)),
}));
